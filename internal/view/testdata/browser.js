// Drives the pages in headless Chromium. Arguments: chromium, page with scans, page of hostile names, page of many
// cases, address of the served page, folder for screenshots or "". Prints what is wrong, a line each.
'use strict';
const { chromium } = require('playwright-core');
const axe = require('fs').readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const [, , executablePath, scans, hostile, many, served, shots] = process.argv;
const problems = [];
const check = (good, ...what) => { if (!good) problems.push(what.join(' ')); };
const began = Date.now();
const step = name => { if (process.env.UC_VERBOSE) console.error(((Date.now() - began) / 1000).toFixed(1), name); };

const same = (got, want, what) => check(JSON.stringify(got) === JSON.stringify(want), `${what}: ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);

async function main() {
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--use-gl=angle', '--use-angle=swiftshader', '--enable-unsafe-swiftshader'] });
  const flat = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-3d-apis'] });
  // open loads a page and watches everything it does.
  async function open(address, options = {}, of = browser) {
    const context = await of.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(30000);
    page.requests = [];
    const name = address.replace(/^.*\//, '').slice(0, 40) || 'served';
    page.on('console', m => { if (m.type() === 'error' || m.type() === 'warning') problems.push(`${name}: console: ${m.text()}`); });
    page.on('pageerror', e => problems.push(`${name}: ${e.message}`));
    page.on('dialog', d => { problems.push(`${name}: a script of a name ran`); d.dismiss(); });
    context.on('request', r => { if (!/^(data|blob):/.test(r.url())) page.requests.push(r.url()); });
    await page.goto(address);
    await page.locator('#table tbody tr').first().waitFor();
    return page;
  }
  // Checks by axe are run in a world of their own, which the page's policy does not bind.
  async function accessible(page, what) {
    await page.evaluate(axe);
    const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }).then(r => r.violations.map(v => `${v.id}: ${v.nodes.slice(0, 3).map(n => n.target.join(' ') + ' ' + (n.any[0] ? n.any[0].message : '')).join('; ')}`)));
    for (const f of found) problems.push(`${what}: axe: ${f}`);
  }
  const shoot = async (page, name) => { if (shots) await page.screenshot({ path: `${shots}/${name}.png`, fullPage: !(await page.locator('dialog[open]').count()) }); };
  const column = (page, n) => page.locator(`#table tbody tr td:nth-child(${n})`).allTextContents();
  const shown = page => page.locator('#count').textContent();

  step('The page with scans, from a file');
  // The page with scans, from a file.
  let page = await open(scans);
  const all = await page.locator('#table tbody tr').count();
  check(all === 24, `${all} rows`);
  check((await page.locator('svg.figure').count()) >= 2, 'figures are missing');
  check((await page.locator('#gallery img').count()) > 0, 'no thumbnails');
  await accessible(page, 'page');
  await shoot(page, 'page-light');

  step('Sorting, by keyboard too');
  // Sorting, by keyboard too.
  const heads = await page.locator('#table th button').allTextContents();
  const at = name => heads.indexOf(name) + 1;
  await page.locator('#table th button', { hasText: 'probability' }).click();
  let values = (await column(page, at('probability'))).map(v => parseInt(v.replace(/[^0-9]/g, ''), 10));
  same(values, values.slice().sort((a, b) => b - a), 'sorted by probability');
  await page.keyboard.press('Enter');
  values = (await column(page, at('probability'))).map(v => parseInt(v.replace(/[^0-9]/g, ''), 10));
  same(values, values.slice().sort((a, b) => a - b), 'sorted the other way by the keyboard');
  check((await page.locator('th[aria-sort=ascending]').count()) === 1, 'no column says how it is sorted');

  step('Filters');
  // Filters.
  await page.selectOption('#outcome', 'wrong');
  const wrong = await page.locator('#table tbody tr').count();
  check(wrong > 0 && wrong < all, `${wrong} of ${all} are wrong`);
  check((await column(page, at('result'))).every(v => v === 'wrong'), 'a right case among the wrong ones');
  same(await shown(page), `${wrong} of ${all} cases`, 'the count');
  await page.click('#clear');
  await page.check('#doubtful');
  const doubtful = await page.locator('#table tbody tr').count();
  check(doubtful > 0 && doubtful < all && (await column(page, at('doubt'))).every(v => v), `${doubtful} doubtful cases`);
  await page.click('#clear');
  await page.selectOption('#fold', '1');
  check((await column(page, at('fold'))).every(v => v === '1') && (await page.locator('#table tbody tr').count()) > 0, 'the filter of folds');
  await page.click('#clear');
  await page.selectOption('#group-0', { index: 1 });
  const group = await page.locator('#group-0').inputValue();
  check((await column(page, at(await page.locator('label:has(#group-0)').evaluate(l => l.firstChild.textContent)))).every(v => v === group), 'the filter of subgroups');
  await page.click('#clear');
  await page.fill('#search', 'case_007');
  same(await column(page, 1), ['case_007'], 'the search');
  await page.click('#clear');
  same(await shown(page), `${all} cases`, 'the count after clearing');
  const cell = page.locator('.matrix button').first();
  const want = parseInt(await cell.textContent(), 10);
  await cell.click();
  same(await page.locator('#table tbody tr').count(), want, 'cases of a cell of the confusion matrix');
  await page.click('#clear');

  step('Figures answer to the slider and the pointer');
  // Figures answer to the slider and the pointer.
  const figure = page.locator('figure[data-figure="0-roc"]');
  await figure.locator('input[type=range]').focus();
  await page.keyboard.press('ArrowRight');
  const said = await figure.locator('output').textContent();
  check(/sensitivity [01]\.\d+, specificity/.test(said), `the slider says ${said}`);
  const box = await figure.locator('svg.figure').boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 3);
  check((await figure.locator('output').textContent()) !== said, 'the pointer changes nothing');
  check((await figure.locator('.marker').getAttribute('visibility')) === 'visible', 'no marker');

  step('A case: opened by its link');
  // A case: opened by its link, overlays on and off, the next case, closed by Escape.
  const first = page.locator('#table tbody tr td a').first();
  const name = await first.textContent();
  await first.click();
  const dialog = page.locator('dialog[open]');
  await dialog.waitFor();
  await page.locator(`dialog[data-shown="${name}"]`).waitFor();
  check(page.url().endsWith('#case=' + name), 'the address is ' + page.url());
  check((await page.locator('#viewertitle').textContent()) === name, 'the title of the case');
  check((await page.locator('.track u').count()) > 0, 'no members');
  const picture = () => page.locator('#canvas').screenshot().then(b => b.toString('base64'));
  const settle = () => page.waitForTimeout(400);
  await settle();
  same(await dialog.getAttribute('data-overlays'), 'roi heat', 'overlays');
  const both = await picture();
  await page.uncheck('#showroi');
  await settle();
  same(await dialog.getAttribute('data-overlays'), 'heat', 'overlays without the region');
  const heat = await picture();
  check(heat !== both, 'the region of interest is not drawn');
  await page.uncheck('#showheat');
  await settle();
  const plain = await picture();
  check(plain !== heat, 'the heat map is not drawn');
  await page.locator('#canvas').focus();
  await page.keyboard.press('r');
  await settle();
  check(await page.isChecked('#showroi'), 'the key R does not show the region');
  const place = await page.locator('#location').textContent();
  await page.keyboard.press('+');
  await settle();
  check((await page.locator('#location').textContent()) !== place, 'the key + does not move');
  await page.selectOption('#view', 'axial');
  await settle();
  await page.check('#showheat');
  await accessible(page, 'case');
  await shoot(page, 'case-light');
  await page.locator('#next').click();
  const second = await page.locator('#table tbody tr td a').nth(1).textContent();
  await page.locator(`dialog[data-shown="${second}"]`).waitFor();
  check((await page.locator('#viewertitle').textContent()) === second, 'the next case');
  await page.keyboard.press('Escape');
  check((await page.locator('dialog[open]').count()) === 0, 'Escape does not close');
  await page.waitForURL(u => !u.hash).catch(() => problems.push('the address after closing is ' + page.url()));
  same(page.requests, [scans], 'requests');
  await page.context().close();

  step('A link to a case, in the dark');
  // A link to a case, in the dark, on a phone, on a page of its own.
  page = await open(scans + '#case=case_003', { colorScheme: 'dark', viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true });
  await page.locator('dialog[data-shown="case_003"]').waitFor();
  await settle2(page);
  await accessible(page, 'phone, case, dark');
  await shoot(page, 'case-phone-dark');
  await page.click('#close');
  await accessible(page, 'phone, page, dark');
  check(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'the page is wider than a phone');
  await shoot(page, 'phone-dark');
  same(page.requests.map(u => u.split('#')[0]), [scans], 'requests on a phone');
  await page.context().close();

  step('Without WebGL 2 there are pictures');
  // Without WebGL 2 there are pictures, with a word.
  page = await open(scans + '#case=case_003', {}, flat);
  await page.locator('#stage img').waitFor();
  check((await page.locator('#stage').textContent()).includes('WebGL 2'), 'no word on WebGL');
  await accessible(page, 'without WebGL');
  await shoot(page, 'case-flat');
  await page.context().close();

  step('Names that try to leave');
  // Names that try to leave their place.
  page = await open(hostile);
  const links = await page.locator('#table tbody tr td a').all();
  for (const link of links) {
    await link.click();
    await page.locator('dialog[open]').waitFor();
    await page.keyboard.press('Escape');
  }
  check(links.length === 15, `${links.length} hostile cases`);
  check(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'long names widen the page');
  await accessible(page, 'hostile names');
  same(page.requests, [hostile], 'requests of hostile names');
  await shoot(page, 'hostile');
  await page.context().close();

  step('Ten thousand cases');
  // Ten thousand cases.
  page = await open(many);
  same(await shown(page), '10000 cases', 'the count of many');
  same(await page.locator('#table tbody tr').count(), 100, 'rows at first');
  await page.click('#more');
  same(await page.locator('#table tbody tr').count(), 600, 'rows after more');
  await page.fill('#search', 'case_9999');
  same(await column(page, 1), ['case_9999'], 'the search among many');
  await page.context().close();

  step('The served page');
  // The served page: scans as they are stored, marks that are kept.
  page = await open(served + '#case=case_002');
  await page.locator('dialog[data-shown="case_002"]').waitFor();
  check((await page.locator('#scanabout').textContent()) === 'The scan as it is stored.', 'the served scan');
  same(await page.locator('dialog').getAttribute('data-overlays'), 'roi', 'overlays before a map is asked for');
  await page.check('#showheat');
  await page.locator('dialog[data-overlays="roi heat"]').waitFor();
  await page.check('input[name=mark][value=exclude]');
  await page.locator('#markstatus', { hasText: 'Kept in' }).waitFor();
  await page.fill('#comment', 'moved');
  const kept = page.waitForResponse(r => r.url().endsWith('marks'));
  await page.locator('#comment').press('Tab');
  check((await kept).status() === 204, 'the comment is not kept');
  await accessible(page, 'served case');
  await shoot(page, 'served-case');
  await page.keyboard.press('Escape');
  await page.selectOption('#mark', 'exclude');
  same(await column(page, 1), ['case_002'], 'the filter of marks');
  const host = new URL(served).host;
  check(page.requests.every(u => new URL(u).host === host), 'requests of the served page: ' + page.requests.join(' '));
  await page.context().close();
  await browser.close();
  await flat.close();
}
const settle2 = page => page.waitForTimeout(400);
main().catch(e => problems.push(e.stack)).finally(() => {
  for (const p of problems) console.log(p);
  process.exit(problems.length ? 1 : 0);
});
