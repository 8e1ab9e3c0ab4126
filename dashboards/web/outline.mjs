// Makes data/outline.json, the map's own base layer: the province, its former
// districts and its communes as thin lines, small enough to travel with the
// page so that no tile service is needed in a flood.
//
// Run: npm run outline -- FOLDER, where FOLDER holds the two source files named
// below. Without them the committed outline stays as it is.
//
// How: the commune polygons were simplified one by one, so neighbours differ by
// a few metres. Vertices close to a neighbour's edge are put into that edge,
// vertices closer than SNAP become one; then every border is one edge, borders
// are chained into arcs between junctions, and each arc is simplified once.
import { readFileSync, writeFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';

const GEO = 'communes_2025_simplified.geojson';
const EDGE = 'province_2025_simplified.geojson';
const MAP = 'commune_mapping_old_to_2025.csv';
const SNAP = 0.0006; // degrees (some 65 m): what counts as the same border
const TOLERANCE = [0.001, 0.0014, 0.002]; // degrees by kind (some 110 to 220 m): simplification of an arc
const SCALE = 1e4; // integers of the output per degree (some 11 m)

const dir = process.argv[2];
if (!dir || ![GEO, EDGE, MAP].every((f) => existsSync(join(dir, f)))) {
  console.log(`outline: no ${GEO} in ${dir ?? '(no folder given)'}; the committed outline stays`);
  process.exit(0);
}

const communes = JSON.parse(readFileSync(join(dir, GEO), 'utf8')).features;
const district = formerDistricts(readFileSync(join(dir, MAP), 'utf8'));
const province = JSON.parse(readFileSync(join(dir, EDGE), 'utf8')).features[0].geometry.coordinates[0];
const rings = communes.flatMap((f) =>
  (f.geometry.type === 'Polygon' ? [f.geometry.coordinates] : f.geometry.coordinates)
    .flatMap((poly) => poly.map((ring) => ({ code: f.properties.code, pts: ring.slice(0, -1) }))));

weld(rings);
stitch(rings);
const edges = bordersOf(rings);
const arcs = chain(edges).map((a) => ({ kind: a.kind, pts: simplify(a.pts, TOLERANCE[a.kind]) }));
const out = {
  source: 'thanglequoc/vietnamese-provinces-database (MIT), geometry of sapnhap.bando.com.vn; strongly simplified',
  scale: SCALE,
  // [kind, lon, lat, dlon, dlat, …]: kind 0 province, 1 former district, 2 commune
  arcs: arcs.map((a) => encode(a)).sort((a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2] || a.length - b.length),
  districts: districtLabels(),
  // [code, name, lon, lat] of the communes since 2025-07-01
  communes: communes.map((f) => [f.properties.code, f.properties.fullName, ...labelPoint(f)]).sort((a, b) => (a[0] < b[0] ? -1 : 1)),
};
writeFileSync(new URL('data/outline.json', import.meta.url), JSON.stringify(out).replace('"arcs"', '\n"arcs"').replace('"districts"', '\n"districts"').replace('"communes"', '\n"communes"') + '\n');
const n = (k) => out.arcs.filter((a) => a[0] === k).reduce((s, a) => s + (a.length - 1) / 2, 0);
console.log(`outline: ${arcs.length} arcs, vertices: province ${n(0)}, former districts ${n(1)}, communes ${n(2)}; ${JSON.stringify(out).length} bytes`);

// formerDistricts maps a commune's code of 2025 to the former district that
// gave most of its old communes.
function formerDistricts(csv) {
  const [head, ...lines] = csv.trim().split('\n').map((l) => l.split(','));
  const col = (name) => head.indexOf(name);
  const votes = {};
  for (const l of lines) {
    const code = l[col('newWardCode')].replace(/\.0$/, '');
    const d = `${l[col('districtCode')]} ${l[col('district')]}`; // two are named Châu Thành
    votes[code] ??= {};
    // A divided commune counts half, as its bulk may lie elsewhere; where two
    // districts gave as many, the one that gave the name decides.
    const short = (name) => name.replace(/^(Xã|Phường|Thị trấn|Huyện|Thị xã|Thành phố) /, '');
    const fresh = short(l[col('newWard')]);
    const named = [l[col('ward')], l[col('district')]].some((name) => short(name) === fresh);
    votes[code][d] = (votes[code][d] ?? 0) + (l[col('isDividedWard')].trim() === 'True' ? 0.5 : 1) + (named ? 0.25 : 0);
  }
  return Object.fromEntries(Object.entries(votes).map(([code, v]) => [code, Object.entries(v).sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))[0][0]]));
}

// weld moves vertices that lie within SNAP of an earlier one onto it.
function weld(rings) {
  const cells = new Map();
  const cell = (x, y) => `${Math.floor(x / SNAP)},${Math.floor(y / SNAP)}`;
  const find = ([x, y]) => {
    let best, bd = SNAP;
    for (let i = -1; i <= 1; i++) for (let j = -1; j <= 1; j++) {
      for (const p of cells.get(cell(x + i * SNAP, y + j * SNAP)) ?? []) {
        const d = Math.hypot(p[0] - x, p[1] - y);
        if (d < bd) [best, bd] = [p, d];
      }
    }
    if (!best) {
      best = [x, y];
      const k = cell(x, y);
      cells.set(k, [...(cells.get(k) ?? []), best]);
    }
    return best;
  };
  for (const r of rings) r.pts = dedupe(r.pts.map(find));
}

function dedupe(pts) {
  return pts.filter((p, i) => p !== pts[(i + pts.length - 1) % pts.length]);
}

// stitch puts into each edge the vertices of other rings that lie on it.
function stitch(rings) {
  const all = [...new Set(rings.flatMap((r) => r.pts))];
  for (const r of rings) {
    const own = new Set(r.pts);
    r.pts = dedupe(r.pts.flatMap((a, i) => {
      const b = r.pts[(i + 1) % r.pts.length];
      const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
      const len = Math.hypot(dx, dy);
      const on = [];
      for (const p of all) {
        if (own.has(p)) continue;
        const u = ((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / (len * len);
        if (u <= 0 || u >= 1) continue;
        if (Math.abs((p[0] - a[0]) * dy - (p[1] - a[1]) * dx) / len < SNAP) on.push([u, p]);
      }
      return [a, ...on.sort((s, t) => s[0] - t[0]).map((o) => o[1])];
    }));
  }
}

// bordersOf returns the distinct edges with who lies on either side.
function bordersOf(rings) {
  const ids = new Map();
  const id = (p) => ids.get(p) ?? (ids.set(p, ids.size), ids.size - 1);
  const edges = new Map();
  for (const r of rings) r.pts.forEach((a, i) => {
    const b = r.pts[(i + 1) % r.pts.length];
    const k = [id(a), id(b)].sort((x, y) => x - y).join('-');
    if (!edges.has(k)) edges.set(k, { a, b, codes: new Set() });
    edges.get(k).codes.add(r.code);
  });
  return [...edges.values()].map((e) => {
    const ds = new Set([...e.codes].map((c) => district[c]));
    // One side only, yet far inside: a leftover sliver between two neighbours.
    const outer = e.codes.size < 2 && nearProvinceEdge([(e.a[0] + e.b[0]) / 2, (e.a[1] + e.b[1]) / 2]);
    return { a: e.a, b: e.b, kind: outer ? 0 : ds.size > 1 ? 1 : 2 };
  });
}

function nearProvinceEdge(p) {
  return province.some((a, i) => i > 0 && distance(p, province[i - 1], a) < 24 * SNAP);
}

// distance from p to the segment a–b.
function distance(p, a, b) {
  const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
  const u = Math.max(0, Math.min(1, ((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / (dx * dx + dy * dy || 1)));
  return Math.hypot(p[0] - a[0] - u * dx, p[1] - a[1] - u * dy);
}

// chain joins edges of one kind into arcs that end at junctions.
function chain(edges) {
  const at = new Map();
  for (const e of edges) for (const p of [e.a, e.b]) at.set(p, [...(at.get(p) ?? []), e]);
  const junction = (p) => at.get(p).length !== 2 || at.get(p)[0].kind !== at.get(p)[1].kind;
  const used = new Set();
  const follow = (p, e) => {
    const pts = [p];
    for (;;) {
      used.add(e);
      p = e.a === p ? e.b : e.a;
      pts.push(p);
      if (junction(p)) return pts;
      const next = at.get(p).find((x) => !used.has(x));
      if (!next) return pts;
      e = next;
    }
  };
  const arcs = [];
  for (const [p, es] of at) if (junction(p)) for (const e of es) if (!used.has(e)) arcs.push({ kind: e.kind, pts: follow(p, e) });
  for (const e of edges) if (!used.has(e)) arcs.push({ kind: e.kind, pts: follow(e.a, e) });
  return arcs;
}

// simplify is Douglas and Peucker's line reduction (1973).
function simplify(pts, tol) {
  if (pts.length < 3) return pts;
  const [a, b] = [pts[0], pts[pts.length - 1]];
  const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
  const len = Math.hypot(dx, dy);
  let far = 0, fd = -1;
  for (let i = 1; i < pts.length - 1; i++) {
    const [px, py] = [pts[i][0] - a[0], pts[i][1] - a[1]];
    const d = len === 0 ? Math.hypot(px, py) : Math.abs(px * dy - py * dx) / len;
    if (d > fd) [far, fd] = [i, d];
  }
  if (fd <= tol) return [a, b];
  return [...simplify(pts.slice(0, far + 1), tol).slice(0, -1), ...simplify(pts.slice(far), tol)];
}

function encode({ kind, pts }) {
  const out = [kind];
  let px = 0, py = 0;
  pts.forEach((p, i) => {
    const [x, y] = [Math.round(p[0] * SCALE), Math.round(p[1] * SCALE)];
    if (i > 0 && x === px && y === py) return;
    out.push(x - px, y - py);
    [px, py] = [x, y];
  });
  return out;
}

// labelPoint is the centroid of a commune's largest ring.
function labelPoint(f) {
  const polys = f.geometry.type === 'Polygon' ? [f.geometry.coordinates] : f.geometry.coordinates;
  let best = [0, 0, -1];
  for (const [ring] of polys) {
    let a = 0, x = 0, y = 0;
    for (let i = 0; i + 1 < ring.length; i++) {
      const c = ring[i][0] * ring[i + 1][1] - ring[i + 1][0] * ring[i][1];
      a += c; x += (ring[i][0] + ring[i + 1][0]) * c; y += (ring[i][1] + ring[i + 1][1]) * c;
    }
    if (Math.abs(a) > best[2]) best = [x / (3 * a), y / (3 * a), Math.abs(a)];
  }
  return [Math.round(best[0] * SCALE), Math.round(best[1] * SCALE)];
}

// districtLabels is the area-weighted middle of each former district: [name, lon, lat].
function districtLabels() {
  const sum = {};
  for (const f of communes) {
    const d = district[f.properties.code];
    if (!d) throw new Error(`no former district for commune ${f.properties.code}`);
    const [x, y] = labelPoint(f);
    const w = f.properties.areaKm2 || 1;
    sum[d] ??= [0, 0, 0];
    sum[d][0] += x * w; sum[d][1] += y * w; sum[d][2] += w;
  }
  return Object.entries(sum).map(([d, [x, y, w]]) => [d.slice(d.indexOf(' ') + 1), Math.round(x / w), Math.round(y / w)]).sort((a, b) => (a[0] < b[0] ? -1 : 1));
}
