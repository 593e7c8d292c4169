import CTraceRecords
import Foundation
import Testing

/// The byte tables of TRACE-FORMAT.md against the C structures as Swift sees them.
@Suite struct LayoutTests {
  struct Field: Equatable {
    var name: String
    var offset: Int
    var size: Int
  }

  struct Structure: Equatable, CustomTestStringConvertible {
    var name: String
    var size: Int
    var fields: [Field]

    var testDescription: String { name }
  }

  /// Structures in the order of the text: a heading "### `pi_record`, 24 bytes", then a table whose first
  /// columns are offset, size and name.
  static func documented() throws -> [Structure] {
    let url = Repository.formats.appendingPathComponent("TRACE-FORMAT.md")
    var structures: [Structure] = []
    for line in try String(contentsOf: url, encoding: .utf8).split(separator: "\n") {
      if line.hasPrefix("### `pi_") {
        let words = line.split(separator: " ")
        let name = String(words[1].dropFirst().dropLast(2))
        structures.append(Structure(name: name, size: try #require(Int(words[2])), fields: []))
      } else if line.hasPrefix("## ") {
        structures.append(Structure(name: "", size: 0, fields: []))
      } else if line.hasPrefix("| "), structures.last?.name.isEmpty == false {
        let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
        guard cells.count >= 3, let offset = Int(cells[0]), let size = Int(cells[1]) else { continue }
        let name = cells[2].trimmingCharacters(in: ["`"])
        structures[structures.count - 1].fields.append(Field(name: name, offset: offset, size: size))
      }
    }
    return structures.filter { !$0.name.isEmpty }
  }

  private static func field<S, V>(_ name: String, _ path: KeyPath<S, V>) -> Field {
    Field(name: name, offset: MemoryLayout<S>.offset(of: path) ?? -1, size: MemoryLayout<V>.size)
  }

  private static func structure<S>(_ name: String, _: S.Type, _ fields: [Field]) -> Structure {
    Structure(name: name, size: MemoryLayout<S>.size, fields: fields)
  }

  /// What the compiler makes of the header. A field left out here leaves a hole that a test finds.
  static let compiled: [Structure] = [
    structure(
      "pi_file_header", pi_file_header.self,
      [
        field("magic", \pi_file_header.magic), field("major", \pi_file_header.major),
        field("minor", \pi_file_header.minor), field("header_bytes", \pi_file_header.header_bytes),
        field("required_features", \pi_file_header.required_features),
        field("optional_features", \pi_file_header.optional_features),
        field("trace_id", \pi_file_header.trace_id),
        field("created_realtime_ns", \pi_file_header.created_realtime_ns),
        field("machine", \pi_file_header.machine), field("crc32", \pi_file_header.crc32),
      ]),
    structure(
      "pi_chunk_header", pi_chunk_header.self,
      [
        field("magic", \pi_chunk_header.magic), field("kind", \pi_chunk_header.kind),
        field("codec", \pi_chunk_header.codec), field("header_bytes", \pi_chunk_header.header_bytes),
        field("stored_bytes", \pi_chunk_header.stored_bytes), field("raw_bytes", \pi_chunk_header.raw_bytes),
        field("number", \pi_chunk_header.number), field("first_time_ns", \pi_chunk_header.first_time_ns),
        field("last_time_ns", \pi_chunk_header.last_time_ns),
        field("record_count", \pi_chunk_header.record_count), field("cpu_count", \pi_chunk_header.cpu_count),
        field("group_count", \pi_chunk_header.group_count),
        field("payload_crc32", \pi_chunk_header.payload_crc32),
        field("header_crc32", \pi_chunk_header.header_crc32), field("reserved", \pi_chunk_header.reserved),
      ]),
    structure(
      "pi_cpu_entry", pi_cpu_entry.self,
      [
        field("cpu", \pi_cpu_entry.cpu), field("reserved", \pi_cpu_entry.reserved),
        field("first_sequence", \pi_cpu_entry.first_sequence),
        field("last_sequence", \pi_cpu_entry.last_sequence), field("count", \pi_cpu_entry.count),
      ]),
    structure(
      "pi_group_entry", pi_group_entry.self,
      [
        field("type", \pi_group_entry.type), field("encoding", \pi_group_entry.encoding),
        field("record_bytes", \pi_group_entry.record_bytes), field("count", \pi_group_entry.count),
        field("delta_columns", \pi_group_entry.delta_columns), field("reserved", \pi_group_entry.reserved),
      ]),
    structure(
      "pi_record", pi_record.self,
      [
        field("time_ns", \pi_record.time_ns), field("tid", \pi_record.tid), field("cpu", \pi_record.cpu),
        field("type", \pi_record.type), field("flags", \pi_record.flags),
        field("sequence", \pi_record.sequence), field("ref", \pi_record.ref),
      ]),
    structure(
      "pi_token_begin", pi_token_begin.self,
      [
        field("head", \pi_token_begin.head), field("context", \pi_token_begin.context),
        field("argument", \pi_token_begin.argument),
      ]),
    structure(
      "pi_ubatch_begin", pi_ubatch_begin.self,
      [
        field("head", \pi_ubatch_begin.head), field("context", \pi_ubatch_begin.context),
        field("position", \pi_ubatch_begin.position), field("n_sequences", \pi_ubatch_begin.n_sequences),
      ]),
    structure(
      "pi_graph_begin", pi_graph_begin.self,
      [
        field("head", \pi_graph_begin.head), field("cgraph", \pi_graph_begin.cgraph),
        field("uid", \pi_graph_begin.uid), field("backend", \pi_graph_begin.backend),
        field("n_nodes", \pi_graph_begin.n_nodes), field("n_threads", \pi_graph_begin.n_threads),
      ]),
    structure(
      "pi_op_fused", pi_op_fused.self,
      [
        field("head", \pi_op_fused.head), field("last_ref", \pi_op_fused.last_ref),
        field("reserved", \pi_op_fused.reserved),
      ]),
    structure(
      "pi_structure_begin", pi_structure_begin.self,
      [
        field("head", \pi_structure_begin.head), field("cgraph", \pi_structure_begin.cgraph),
        field("nodes", \pi_structure_begin.nodes), field("uid", \pi_structure_begin.uid),
        field("n_nodes", \pi_structure_begin.n_nodes), field("n_leafs", \pi_structure_begin.n_leafs),
      ]),
    structure(
      "pi_node_list", pi_node_list.self,
      [
        field("head", \pi_node_list.head), field("first", \pi_node_list.first),
        field("count", \pi_node_list.count), field("address", \pi_node_list.address),
      ]),
    structure(
      "pi_tensor", pi_tensor.self,
      [
        field("head", \pi_tensor.head), field("address", \pi_tensor.address),
        field("tensor_bytes", \pi_tensor.tensor_bytes), field("reserved", \pi_tensor.reserved),
      ]),
    structure(
      "pi_structure_end", pi_structure_end.self,
      [
        field("head", \pi_structure_end.head), field("tensors", \pi_structure_end.tensors),
        field("unwritten", \pi_structure_end.unwritten), field("unreadable", \pi_structure_end.unreadable),
        field("node_limit", \pi_structure_end.node_limit),
      ]),
    structure(
      "pi_experts", pi_experts.self,
      [
        field("head", \pi_experts.head), field("token", \pi_experts.token),
        field("token_count", \pi_experts.token_count), field("used", \pi_experts.used),
        field("reserved", \pi_experts.reserved),
      ]),
    structure(
      "pi_switch_out", pi_switch_out.self,
      [
        field("head", \pi_switch_out.head),
        field("next_tgid", \pi_switch_out.next_tgid),
        field("reserved", \pi_switch_out.reserved),
        field("next_comm", \pi_switch_out.next_comm),
      ]),
    structure(
      "pi_backend", pi_backend.self,
      [
        field("head", \pi_backend.head),
        field("backend", \pi_backend.backend),
        field("guid", \pi_backend.guid),
      ]),
    structure(
      "pi_clock", pi_clock.self,
      [
        field("head", \pi_clock.head), field("boottime_ns", \pi_clock.boottime_ns),
        field("realtime_ns", \pi_clock.realtime_ns),
      ]),
    structure(
      "pi_loss", pi_loss.self,
      [
        field("head", \pi_loss.head), field("lost_records", \pi_loss.lost_records),
        field("unreadable", \pi_loss.unreadable), field("experts_cut", \pi_loss.experts_cut),
        field("last_sequence", \pi_loss.last_sequence),
      ]),
    structure(
      "pi_cost", pi_cost.self,
      [
        field("head", \pi_cost.head), field("cpu_ns", \pi_cost.cpu_ns),
        field("resident_bytes", \pi_cost.resident_bytes), field("written_bytes", \pi_cost.written_bytes),
        field("records", \pi_cost.records),
      ]),
    structure(
      "pi_thread", pi_thread.self,
      [
        field("head", \pi_thread.head), field("tgid", \pi_thread.tgid),
        field("reserved", \pi_thread.reserved), field("comm", \pi_thread.comm),
      ]),
    structure(
      "pi_site", pi_site.self, [field("head", \pi_site.head), field("hits", \pi_site.hits)]),
    structure(
      "pi_temperature", pi_temperature.self,
      [
        field("head", \pi_temperature.head),
        field("millicelsius", \pi_temperature.millicelsius),
        field("reserved", \pi_temperature.reserved),
      ]),
    structure(
      "pi_counter", pi_counter.self,
      [
        field("head", \pi_counter.head),
        field("value", \pi_counter.value),
        field("enabled_ns", \pi_counter.enabled_ns),
        field("running_ns", \pi_counter.running_ns),
      ]),
    structure(
      "pi_end", pi_end.self,
      [
        field("head", \pi_end.head), field("records", \pi_end.records),
        field("lost_records", \pi_end.lost_records), field("chunks", \pi_end.chunks),
        field("reserved", \pi_end.reserved),
      ]),
  ]

  @Test func documentedTablesAreTheHeader() throws {
    let documented = try Self.documented()
    #expect(documented.map(\.name) == Self.compiled.map(\.name))
    for (text, structure) in zip(documented, Self.compiled) {
      #expect(text == structure)
    }
  }

  @Test(arguments: compiled)
  func structureHasNoHoles(structure: Structure) {
    var end = 0
    for field in structure.fields {
      #expect(field.offset == end, "\(structure.name).\(field.name)")
      end = field.offset + field.size
    }
    #expect(end == structure.size)
  }

  /// Every structure of the header that is written to a trace is in the text.
  @Test func noStructureIsForgotten() throws {
    let url = Repository.formats.appendingPathComponent("CTraceRecords/include/pi_trace.h")
    let names = try String(contentsOf: url, encoding: .utf8).split(separator: "\n")
      .filter { $0.hasPrefix("struct pi_") && $0.contains("{") }
      .map { String($0.split(separator: " ")[1]) }
    #expect(Set(names) == Set(Self.compiled.map(\.name)))
  }

  /// The table of record types has the numbers of `enum pi_record_type`.
  @Test func recordTypesAreTheHeaders() throws {
    let header = try String(
      contentsOf: Repository.formats.appendingPathComponent("CTraceRecords/include/pi_trace.h"),
      encoding: .utf8)
    let text = try String(
      contentsOf: Repository.formats.appendingPathComponent("TRACE-FORMAT.md"), encoding: .utf8)
    var defined: [String: Int] = [:]
    for line in header.split(separator: "\n") {
      let words = line.split(separator: " ")
      guard words.count >= 3, words[0].hasPrefix("PI_RECORD_"), words[1] == "=",
        words[0] != "PI_RECORD_FIRST_USER"
      else { continue }
      defined[String(words[0].dropFirst("PI_RECORD_".count))] = Int(words[2].dropLast())
    }
    var documented: [String: Int] = [:]
    for line in text.split(separator: "\n") {
      let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
      guard cells.count == 6, let type = Int(cells[0]) else { continue }
      documented[cells[1]] = type
    }
    #expect(defined.count == 38)
    #expect(documented == defined)
  }
}
