import Foundation
import TraceContainer

/// Makes inputs of the files of a folder, in place: traces become their parts, for whoever takes only those.
func writeSeeds(of target: FuzzTarget, to folder: URL) throws {
  let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
  for file in files where file.pathExtension == "pitrace" {
    let bytes = [UInt8](try Data(contentsOf: file))
    switch target {
    case .container: try Data(bytes + [0]).write(to: file.appendingPathExtension("repaired"))
    case .records, .metadata:
      let parts = try TraceParts(of: bytes)
      for view in View.allCases {
        let seed = [view.rawValue] + (target == .records ? parts.records : parts.metadata)
        try Data(seed).write(to: file.appendingPathExtension("\(view)"))
      }
      try FileManager.default.removeItem(at: file)
    case .elf, .sites: break
    }
  }
}
