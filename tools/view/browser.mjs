// A headless Chromium, driven over the DevTools protocol.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

function programInPath(...names) {
  for (const name of names) {
    for (const dir of process.env.PATH.split(':')) {
      if (fs.existsSync(path.join(dir, name))) return path.join(dir, name);
    }
  }
  throw new Error(`none of ${names.join(', ')} in PATH; on Debian: apt-get install chromium`);
}

/** One tab. Messages go over a pipe and end with a NUL byte. */
export class Browser {
  #next = 1;
  #waiting = new Map();
  #listeners = new Map();

  constructor(width, height) {
    [this.width, this.height] = [width, height];
    this.profile = fs.mkdtempSync(path.join(os.tmpdir(), 'browser-'));
    this.process = spawn(programInPath('chromium', 'google-chrome'), [
      '--headless=new', '--no-sandbox', '--disable-gpu', '--remote-debugging-pipe', `--user-data-dir=${this.profile}`,
      `--window-size=${width},${height}`, '--hide-scrollbars', 'about:blank',
    ], { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
    let rest = '';
    this.process.stdio[4].setEncoding('utf8').on('data', text => {
      const messages = (rest + text).split('\0');
      rest = messages.pop();
      for (const message of messages) this.#receive(JSON.parse(message));
    });
    this.process.on('exit', code => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`chromium ended with ${code}`));
      this.#waiting.clear();
    });
  }

  #receive({ id, method, params, result, error }) {
    if (method) return (this.#listeners.get(method) ?? []).forEach(listener => listener(params));
    const call = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error) call?.reject(new Error(error.message));
    else call?.resolve(result);
  }

  on(event, listener) {
    this.#listeners.set(event, [...this.#listeners.get(event) ?? [], listener]);
  }

  once(event) {
    return new Promise(resolve => this.on(event, resolve));
  }

  call(method, params = {}, sessionId = this.session) {
    const id = this.#next++;
    this.process.stdio[3].write(JSON.stringify({ id, method, params, sessionId }) + '\0');
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  /** Opens a tab of the size asked for. `mobile`: as a phone shows pages. */
  async open(url, { mobile = false } = {}) {
    const { targetId } = await this.call('Target.createTarget', { url });
    this.session = (await this.call('Target.attachToTarget', { targetId, flatten: true })).sessionId;
    await this.call('Emulation.setDeviceMetricsOverride', {
      width: this.width, height: this.height, deviceScaleFactor: 1, mobile,
    });
  }

  async evaluate(expression) {
    const { result, exceptionDetails } = await this.call('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  async close() {
    const ended = new Promise(resolve => this.process.once('exit', resolve));
    // Killed, it would leave processes behind that still write to its profile.
    this.call('Browser.close', {}, undefined).catch(() => this.process.kill());
    setTimeout(() => this.process.kill('SIGKILL'), 10_000).unref();
    if (this.process.exitCode === null && this.process.signalCode === null) await ended;
    fs.rmSync(this.profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}
