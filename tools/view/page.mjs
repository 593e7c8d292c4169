#!/usr/bin/env node
// Opens a page from disk in a headless Chromium, says what it did, and takes pictures of it.
//
//   node tools/view/page.mjs PAGE.html [--size 1280x900] [--theme light|dark] [--phone] [--run EXPRESSION]
//       [--picture FILE.png [--whole | --at SELECTOR]] [--print FILE.pdf]
//
// --theme is what the system prefers; --run evaluates a JavaScript expression in the page, once it is loaded. Prints one
// JSON object: title, sections (ids of section elements), errors (of scripts, of the console, of the content security
// policy), requests (addresses asked for beside the page itself), width (CSS pixels that the page takes), result (of
// --run). --whole takes the picture of all of the page, --at that of one element; --print is A4.
// Exit status: 0, whatever the page did; 1 it could not be opened; 2 usage.
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Browser } from './browser.mjs';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    size: { type: 'string', default: '1280x900' }, theme: { type: 'string', default: 'light' },
    phone: { type: 'boolean', default: false }, run: { type: 'string' }, picture: { type: 'string' },
    whole: { type: 'boolean', default: false }, at: { type: 'string' }, print: { type: 'string' },
  },
});
if (positionals.length !== 1) {
  process.stderr.write('usage: page.mjs PAGE.html [--size WxH] [--theme light|dark] [--phone] [--run EXPRESSION] '
    + '[--picture FILE.png [--whole | --at SELECTOR]] [--print FILE.pdf]\n');
  process.exit(2);
}
const [width, height] = options.size.split('x').map(Number);
const address = pathToFileURL(path.resolve(positionals[0])).href;

async function look(browser) {
  if (!fs.existsSync(positionals[0])) throw new Error('no such file');
  await browser.open('about:blank', { mobile: options.phone });
  const errors = [], requests = [];
  browser.on('Runtime.exceptionThrown', ({ exceptionDetails: { exception, text } }) =>
    errors.push(exception?.description ?? text));
  browser.on('Runtime.consoleAPICalled', ({ type, args }) => {
    if (type === 'error' || type === 'warning') errors.push(args.map(arg => arg.value ?? arg.description).join(' '));
  });
  browser.on('Log.entryAdded', ({ entry }) => errors.push(entry.text));
  browser.on('Network.requestWillBeSent', ({ request }) => {
    if (request.url !== address) requests.push(request.url);
  });
  for (const domain of ['Runtime', 'Log', 'Network', 'Page']) await browser.call(`${domain}.enable`);
  await browser.call('Emulation.setEmulatedMedia', {
    features: [{ name: 'prefers-color-scheme', value: options.theme }],
  });
  const loaded = browser.once('Page.loadEventFired');
  const { errorText } = await browser.call('Page.navigate', { url: address });
  if (errorText) throw new Error(errorText);
  await loaded;
  // Two frames later everything has been drawn.
  await browser.evaluate('new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))');
  const result = options.run && await browser.evaluate(options.run);
  if (options.picture) await takePicture(browser);
  if (options.print) {
    const { data } = await browser.call('Page.printToPDF', { preferCSSPageSize: true, printBackground: true });
    fs.writeFileSync(options.print, Buffer.from(data, 'base64'));
  }
  const page = await browser.evaluate(`({
    title: document.title,
    sections: [...document.querySelectorAll('section')].map(section => section.id),
    width: document.documentElement.scrollWidth,
  })`);
  return { ...page, errors, requests, result };
}

async function takePicture(browser) {
  const place = options.at ? `document.querySelector(${JSON.stringify(options.at)}).getBoundingClientRect()` : '{}';
  const box = await browser.evaluate(`(({ x, y, width, height }) =>
    ({ x: x + scrollX, y: y + scrollY, width, height, whole: document.documentElement.scrollHeight }))(${place})`);
  const clip = options.at
    ? { x: box.x, y: box.y, width: box.width, height: box.height, scale: 1 }
    : options.whole ? { x: 0, y: 0, width, height: box.whole, scale: 1 } : undefined;
  const { data } = await browser.call('Page.captureScreenshot', { format: 'png', clip, captureBeyondViewport: Boolean(clip) });
  fs.writeFileSync(options.picture, Buffer.from(data, 'base64'));
}

const browser = new Browser(width, height);
try {
  process.stdout.write(JSON.stringify(await look(browser)) + '\n');
} catch (error) {
  process.stderr.write(`page: ${positionals[0]}: ${error.message}\n`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
