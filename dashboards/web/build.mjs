// Builds ../assets from src/, static/, index.html and data/outline.json.
// The same sources give the same bytes: no time, no path, no machine in them.
import { build } from 'esbuild';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const here = dirname(fileURLToPath(import.meta.url));
process.chdir(here);
const out = join(here, '../assets');
const target = ['chrome80', 'firefox78', 'safari14.1']; // phones of 2020 and 2021
const hash = (b) => createHash('sha256').update(b).digest('base64url').slice(0, 10);

rmSync(out, { recursive: true, force: true });
mkdirSync(join(out, 'assets'), { recursive: true });

const outline = readFileSync('data/outline.json');
const outlineURL = `/assets/outline-${hash(outline)}.json`;
writeFileSync(join(out, outlineURL), outline);

const common = { bundle: true, minify: true, target, format: 'esm', legalComments: 'none', charset: 'utf8', logLevel: 'warning', loader: { '.png': 'empty' }, jsx: 'automatic', jsxImportSource: 'preact' };
const page = await build({
  ...common, entryPoints: { app: 'src/main.tsx' }, outdir: join(out, 'assets'), splitting: true, metafile: true,
  entryNames: '[name]-[hash]', chunkNames: '[name]-[hash]', define: { OUTLINE_URL: JSON.stringify(outlineURL) },
});
const outputs = Object.entries(page.metafile.outputs);
const entry = outputs.find(([, o]) => o.entryPoint === 'src/main.tsx');
const url = (file) => '/assets/' + relative(join(out, 'assets'), join(here, file));
// All styles are in one sheet: those of map and chart are small, and a style
// that arrives after its view makes it jump.
const styles = outputs.filter(([f]) => f.endsWith('.css')).map(([f]) => f);
if (styles.length !== 1) throw new Error(`expected one style sheet, have ${styles}`);
const html = readFileSync('index.html', 'utf8').replace('%STYLE%', url(styles[0])).replace('%SCRIPT%', url(entry[0]));
writeFileSync(join(out, 'index.html'), html);
for (const f of readdirSync('static')) copyFileSync(join('static', f), join(out, f));

const shell = ['/', '/manifest.webmanifest', '/icon.svg', '/icon-192.png', outlineURL, ...outputs.map(([f]) => url(f))].sort();
const name = hash(shell.join() + html + readFileSync('src/sw.ts') + readFileSync('static/manifest.webmanifest') + readFileSync('static/icon.svg'));
await build({ ...common, format: 'iife', entryPoints: ['src/sw.ts'], outfile: join(out, 'sw.js'), define: { SHELL: JSON.stringify(shell), BUILD: JSON.stringify(name) } });
writeFileSync(join(out, 'licenses.txt'), licenses());
// What this was built from and into, so that a test without npm sees when
// sources and built files no longer belong together.
writeFileSync(join(out, 'build.json'), JSON.stringify({ sources: sums(here, ['src', 'static', 'data', 'index.html', 'build.mjs', 'package.json', 'package-lock.json']), built: sums(out, ['.']) }, null, 1) + '\n');
report();

function files(root, p) {
  return statSync(join(root, p)).isDirectory() ? readdirSync(join(root, p)).sort().flatMap((f) => files(root, join(p, f))) : [p];
}

function sums(root, paths) {
  return Object.fromEntries(paths.flatMap((p) => files(root, p)).sort().map((f) => [f, createHash('sha256').update(readFileSync(join(root, f))).digest('hex')]));
}

// licenses are those of the libraries inside the bundles.
function licenses() {
  return ['leaflet', 'preact', 'uplot'].map((m) => {
    const v = JSON.parse(readFileSync(`node_modules/${m}/package.json`, 'utf8')).version;
    return `${m} ${v}\n\n${readFileSync(`node_modules/${m}/LICENSE`, 'utf8').trim()}\n`;
  }).join('\n----\n\n') + '\n----\n\n' + readFileSync('data/SOURCE.md', 'utf8');
}

function report() {
  const gz = (f) => gzipSync(readFileSync(join(here, f)), { level: 9 }).length;
  const first = new Set([entry[0], styles[0]]);
  for (const f of first) for (const i of page.metafile.outputs[f].imports) if (i.kind === 'import-statement') first.add(i.path);
  let all = 0, start = 0;
  for (const [f, o] of outputs) {
    const n = gz(f);
    all += n;
    if (first.has(f)) start += n;
    console.log(`${String(o.bytes).padStart(8)} ${String(n).padStart(7)} gz  ${first.has(f) ? 'first' : 'later'}  ${url(f)}`);
  }
  console.log(`first load ${start} bytes gz, all JS and CSS ${all} bytes gz`);
}
