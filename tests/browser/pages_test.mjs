// The pages in Chromium, on a desktop and on a phone, with the mouse and with the keyboard. They must have no errors and
// must not violate their content security policy.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { chromium } from 'playwright-core';
import { key, startService } from './service.mjs';

const patience = { timeout: 10000 };
const long = Array.from({ length: 60 }, (_, i) => `word${i}`).join(' ');
let service;
let browser;
let page;
let complaints;

before(async () => {
  service = await startService();
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] });
});
after(async () => {
  await browser?.close();
  await service?.stop();
});

async function open(options = {}) {
  page = await browser.newPage({ viewport: { width: 1280, height: 860 }, ...options });
  page.setDefaultTimeout(patience.timeout);
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    // The browser logs a request that is refused with 401. All other errors count, and so do policy violations.
    if (message.type() === 'error' && !/status of 401/.test(message.text())) complaints.push(message.text());
  });
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.protocol !== 'data:' && url.origin !== service.url) complaints.push(`asked for ${url}`);
    if (request.url().includes(key)) complaints.push('the key is in a URL');
  });
}
beforeEach(() => { complaints = []; });
afterEach(async () => {
  await page.close();
  assert.deepEqual(complaints, []);
});

async function enterKey(given = key) {
  await page.goto(`${service.url}/`);
  await page.getByLabel('Internal key').fill(given);
  await page.getByRole('button', { name: 'Open' }).click();
}

const ask = (model, content) => fetch(`${service.url}/v1/chat/completions`, {
  method: 'POST', headers: { 'content-type': 'application/json', 'x-internal-auth': key },
  body: JSON.stringify({ model, stream: true, messages: [{ role: 'user', content }] }),
}).then((answer) => answer.text());

/** Checks the first rules of an accessibility checker, such as labels, unique ids and a single h1. */
async function checkBasics() {
  const faults = await page.evaluate(() => {
    const found = [];
    if (!document.documentElement.lang) found.push('no lang');
    if (!document.title) found.push('no title');
    for (const each of document.querySelectorAll('input, select, textarea')) {
      if (!each.labels?.length && !each.ariaLabel) found.push(`no label: ${each.outerHTML}`);
    }
    for (const each of document.querySelectorAll('button, a')) {
      if (!each.textContent.trim() && !each.ariaLabel) found.push(`no name: ${each.outerHTML}`);
    }
    const ids = [...document.querySelectorAll('[id]')].map((each) => each.id);
    if (new Set(ids).size !== ids.length) found.push('an id twice');
    if (document.querySelectorAll('h1').length !== 1) found.push('not one h1');
    return found;
  });
  assert.deepEqual(faults, []);
}

/** Checks that the WCAG contrast of every text against its background is at least 4.5. */
async function checkContrast() {
  const faults = await page.evaluate(() => {
    const parse = (color) => (color.match(/[\d.]+/g) ?? []).map(Number);
    const luminance = ([r, g, b]) => {
      const part = (value) => (value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
      return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
    };
    const found = [];
    for (const each of document.querySelectorAll('#app *')) {
      const owns = [...each.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
      if (!owns || each.matches(':disabled, option, noscript') || !each.checkVisibility()) continue;
      let behind = each;
      while (behind && (parse(getComputedStyle(behind).backgroundColor)[3] ?? 1) === 0) behind = behind.parentElement;
      const [a, b] = [luminance(parse(getComputedStyle(each).color)), luminance(parse(getComputedStyle(behind ?? document.body).backgroundColor))];
      const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      if (contrast < 4.5) found.push(`${contrast.toFixed(1)}: ${each.outerHTML.slice(0, 80)}`);
    }
    return found;
  });
  assert.deepEqual(faults, []);
}

const overflow = () => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);

test('docs: authorizes, and a stream is shown while it arrives', async () => {
  await open();
  await page.goto(`${service.url}/docs#/chat/chat`);
  await page.getByRole('button', { name: 'Authorize' }).first().click();
  const dialog = page.locator('.modal-ux');
  await dialog.locator('input').first().fill(key);
  await dialog.locator('button.authorize').first().click();
  await dialog.locator('button.btn-done').first().click();
  const operation = page.locator('#operations-chat-chat');
  if (!(await operation.locator('.execute').count())) await operation.locator('.opblock-summary-control').click();
  const body = { model: 'mock-llm', stream: true, messages: [{ role: 'user', content: long }] };
  await operation.locator('textarea.body-param__text').fill(JSON.stringify(body));
  await operation.getByRole('button', { name: 'Execute' }).click();
  const live = operation.locator('.live');
  await live.locator('pre').filter({ hasText: 'data: ' }).waitFor();
  const early = (await live.locator('pre').textContent()).length;
  await page.waitForFunction((length) => document.querySelector('.live pre').textContent.length > length + 200, early);
  assert.ok(!(await live.locator('pre').textContent()).includes('[DONE]'));
  await live.getByRole('button', { name: 'Stop' }).click();
  await live.getByRole('status').filter({ hasText: 'stopped' }).waitFor();
  assert.ok(!(await live.locator('pre').textContent()).includes('[DONE]'));
  // An answer that is not a stream is shown by Swagger UI itself.
  await operation.locator('textarea.body-param__text').fill(JSON.stringify({ ...body, stream: false }));
  await operation.getByRole('button', { name: 'Execute' }).click();
  await operation.locator('.live-responses-table .response-col_status').filter({ hasText: '200' }).first().waitFor();
});

test('docs: list every path, on a phone too', async () => {
  await open({ viewport: { width: 360, height: 740 } });
  await page.goto(`${service.url}/docs`);
  await page.locator('.opblock').first().waitFor();
  const described = await (await fetch(`${service.url}/openapi.json`)).json();
  const count = Object.values(described.paths).flatMap((path) => Object.keys(path)).length;
  assert.equal(await page.locator('.opblock').count(), count);
  assert.ok((await overflow()) <= 0, `${await overflow()} px too wide`);
});

test('dashboard: a wrong key is told, and not kept', async () => {
  await open();
  await enterKey('wrong');
  await page.getByRole('alert').filter({ hasText: 'wrong internal key' }).waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  await page.getByLabel('Internal key').fill(key);
  await page.getByRole('button', { name: 'Open' }).click();
  await page.getByRole('status').filter({ hasText: 'live' }).waitFor();
});

test('dashboard: a request grows, ends, and is counted; names are text', async () => {
  await open();
  await enterKey();
  await page.getByRole('status').filter({ hasText: 'live' }).waitFor();
  const name = '<img src=x onerror=alert(1)>';
  const done = ask(name, long);
  const row = page.locator('.request').filter({ hasText: name });
  await row.locator('.numbers').filter({ hasText: /[1-9]\d* chunks/ }).waitFor();
  const chunks = async () => Number(/(\d+) chunks/.exec(await row.locator('.numbers').textContent())[1]);
  const width = async () => (await row.locator('.bar').boundingBox()).width;
  const [before, narrow] = [await chunks(), await width()];
  await page.waitForTimeout(1500);
  assert.ok((await chunks()) > before);
  assert.ok((await width()) > narrow);
  assert.match(await row.locator('.key').textContent(), /default/);
  await done;
  await row.waitFor({ state: 'detached' });
  const ends = page.getByRole('region', { name: 'Ends by verdict' });
  await ends.getByRole('listitem').filter({ hasText: /^complete/ }).first().waitFor();
  await page.getByRole('listitem', { name: /^up to .*: [1-9]/ }).first().waitFor();
  assert.equal(await page.locator('img').count(), 0);
  assert.equal(await page.evaluate(() => document.cookie + localStorage.length), '0');
});

test('playground: streams, tells its timing, stops; the curl line hides the key', async () => {
  await open();
  await enterKey();
  const box = page.getByLabel('Message');
  await page.locator('select option').first().waitFor({ state: 'attached' });
  await box.fill(`it's ${long}`);
  await page.getByRole('button', { name: 'Send' }).click();
  const answer = page.getByLabel('Answer');
  await answer.filter({ hasText: 'word3' }).waitFor();
  assert.ok(!(await answer.textContent()).includes('word59'));
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.getByTestId('timing').filter({ hasText: /stopped · first chunk \d+ ms/ }).waitFor();
  const ends = page.getByRole('region', { name: 'Ends by verdict' });
  await ends.getByRole('listitem').filter({ hasText: 'client_gone' }).first().waitFor();
  await box.fill('two words');
  await page.getByRole('button', { name: 'Send' }).click();
  await page.getByTestId('timing').filter({ hasText: 'complete' }).waitFor();
  const curl = await page.getByLabel('curl line').textContent();
  assert.ok(curl.includes('/v1/chat/completions') && curl.includes('two words') && !curl.includes(key));
});

for (const scheme of ['light', 'dark']) {
  test(`dashboard: labels, contrast and no sideways scrolling at 360 px, ${scheme}`, async () => {
    await open({ viewport: { width: 360, height: 740 }, colorScheme: scheme, reducedMotion: 'reduce' });
    await page.goto(`${service.url}/ui`);
    await page.getByLabel('Internal key').waitFor();
    await checkBasics();
    await checkContrast();
    await enterKey();
    await page.getByRole('status').filter({ hasText: 'live' }).waitFor();
    const done = ask(`a-model-with-a-name-that-goes-on-${'and-on-'.repeat(12)}`, 'one two three four five six');
    await page.locator('.request').first().waitFor();
    await checkBasics();
    await checkContrast();
    assert.ok((await overflow()) <= 0, `${await overflow()} px too wide`);
    assert.equal(await page.locator('.bar').first().evaluate((bar) => getComputedStyle(bar).animationName), 'none');
    await done;
  });
}

test('dashboard: works by keyboard alone, and shows where the focus is', async () => {
  await open();
  await page.goto(`${service.url}/`);
  await page.getByLabel('Internal key').focus();
  await page.keyboard.type(key);
  await page.keyboard.press('Enter');
  await page.getByRole('status').filter({ hasText: 'live' }).waitFor();
  await page.reload();  // the tab keeps the key, and the focus is at the top again
  await page.locator('select option').first().waitFor({ state: 'attached' });
  const reached = [];
  for (let i = 0; i < 12; i += 1) {
    await page.keyboard.press('Tab');
    const at = await page.evaluate(() => {
      const focused = document.activeElement;
      const style = getComputedStyle(focused);
      return { name: focused.tagName, seen: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 };
    });
    if (at.name === 'BODY') break;
    assert.ok(at.seen, `${at.name} shows no focus`);
    reached.push(at.name);
    if (at.name === 'TEXTAREA') await page.keyboard.type(' now');
    if (at.name === 'BUTTON' && reached.includes('TEXTAREA')) {
      await page.keyboard.press('Enter');
      break;
    }
  }
  assert.ok(['A', 'SELECT', 'TEXTAREA', 'BUTTON'].every((name) => reached.includes(name)), reached.join());
  await page.getByTestId('timing').filter({ hasText: 'complete' }).waitFor();
});

test('pictures for the README', { skip: process.env.PICTURES === undefined }, async () => {
  mkdirSync(process.env.PICTURES, { recursive: true });
  const takeOne = async (file, options) => {
    await open(options);
    await enterKey();
    await page.getByRole('status').filter({ hasText: 'live' }).waitFor();
    const models = ['gpt-4o', 'claude-sonnet', 'mistral-small', 'llama-3.3-70b'];
    const begun = [];
    for (let i = 0; i < 24; i += 1) {
      begun.push(ask(models[i % 4], long.split(' ').slice(0, 8 + ((i * 13) % 50)).join(' ')));
      await page.waitForTimeout(350);
    }
    await page.getByLabel('Message').fill('Explain in one paragraph how a proxy can pass on a stream of tokens without ever holding more than a few of them, and what it does when its reader is slow.');
    await page.getByRole('button', { name: 'Send' }).click();
    await page.waitForTimeout(2500);
    await page.evaluate(() => scrollTo(0, 0));
    await page.screenshot({ path: `${process.env.PICTURES}/${file}` });
    await page.getByRole('button', { name: 'Forget key' }).click();
    await Promise.all(begun);
  };
  await takeOne('dashboard-dark.png', { colorScheme: 'dark', viewport: { width: 1360, height: 900 } });
  await page.close();
  await takeOne('dashboard-phone.png', { colorScheme: 'light', viewport: { width: 360, height: 780 }, deviceScaleFactor: 2 });
});
