// The map: Leaflet over our own outline of the province, former districts and
// communes. No tiles, so nothing from elsewhere is needed in a flood.

import * as L from 'leaflet';
import { Fragment, h, render } from 'preact';
import { lang, t } from './i18n';
import { mainReading, rank, shapeOf, stationStatus, type Station } from './model';
import { FamilySign, StateShape } from './shapes';
import { isCode, stateWord, stationName, valueText } from './words';

interface Outline { scale: number; arcs: number[][]; districts: [string, number, number][]; communes: [string, string, number, number][] }

export interface StationMap { update(stations: Station[], now: number): void; destroy(): void }

const classes = ['outline province', 'outline district', 'outline commune'];

// linesOf undoes the outline's encoding: [kind, lon, lat, then differences].
function linesOf(o: Outline, kind: number): L.LatLngTuple[][] {
  return o.arcs.filter((a) => a[0] === kind).map((a) => {
    const out: L.LatLngTuple[] = [];
    let x = 0, y = 0;
    for (let i = 1; i + 1 < a.length; i += 2) {
      x += a[i]!;
      y += a[i + 1]!;
      out.push([y / o.scale, x / o.scale]);
    }
    return out;
  });
}

export async function make(node: HTMLElement): Promise<StationMap> {
  const res = await fetch(OUTLINE_URL);
  if (!res.ok) throw new Error(`outline: ${res.status}`);
  const o = (await res.json()) as Outline;
  const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
  const map = L.map(node, {
    minZoom: 8, maxZoom: 14, zoomSnap: 0.25, attributionControl: false, zoomAnimation: !still, fadeAnimation: !still, markerZoomAnimation: !still, inertia: !still,
  });
  for (const kind of [2, 1, 0]) {
    L.polyline(linesOf(o, kind), { className: classes[kind], interactive: false, smoothFactor: 1 }).addTo(map);
  }
  const province = L.latLngBounds(linesOf(o, 0).flat());
  map.setMaxBounds(province.pad(0.3));
  names(map, o);
  const markers = new Map<string, { marker: L.Marker; look: string }>();
  let fitted = false;
  const update = (stations: Station[], now: number) => {
    const seen = new Set<string>();
    for (const s of stations) {
      if (s.lat === undefined || s.lon === undefined) continue;
      seen.add(s.id);
      place(map, markers, s, now);
    }
    for (const [id, m] of markers) {
      if (seen.has(id)) continue;
      m.marker.remove();
      markers.delete(id);
    }
    if (!fitted && seen.size > 0) {
      fitted = true;
      map.fitBounds(L.latLngBounds([...markers.values()].map((m) => m.marker.getLatLng())).pad(0.12), { maxZoom: 12, animate: false });
    }
  };
  map.fitBounds(province, { animate: false });
  const fit = new ResizeObserver(() => map.invalidateSize({ animate: false }));
  fit.observe(node);
  return { update, destroy: () => { fit.disconnect(); map.remove(); } };
}

// names writes former districts from afar and communes from near.
function names(map: L.Map, o: Outline): void {
  const label = (text: string, x: number, y: number, cls: string) =>
    L.marker([y / o.scale, x / o.scale], { interactive: false, keyboard: false, icon: L.divIcon({ className: cls, html: span(text), iconSize: [0, 0] }) });
  const districts = L.layerGroup(o.districts.map(([n, x, y]) => label(n.replace(/^(Huyện|Thành phố|Thị xã) /, ''), x, y, 'name district')));
  const communes = L.layerGroup(o.communes.map(([, n, x, y]) => label(n.replace(/^(Xã|Phường) /, ''), x, y, 'name commune')));
  const choose = () => {
    const near = map.getZoom() >= 11;
    (near ? communes : districts).addTo(map);
    (near ? districts : communes).remove();
  };
  map.on('zoomend', choose);
  choose();
}

function span(text: string): HTMLElement {
  const el = document.createElement('span');
  el.textContent = text;
  return el;
}

function place(map: L.Map, markers: Map<string, { marker: L.Marker; look: string }>, s: Station, now: number): void {
  const shape = shapeOf(s, now);
  const r = mainReading(s);
  const st = stationStatus(s, now);
  const value = r && r.value !== null && !isCode(r) && s.family !== 'insect' && st !== 'silent' && st !== 'failed' ? valueText(r) : '';
  const look = [shape, value, stationName(s), lang(), s.simulated, stateWord(s, now)].join('|');
  const old = markers.get(s.id);
  if (old?.look === look) return;
  const wrap = document.createElement('div');
  render(h(Fragment, null,
    h(StateShape, { shape, size: 26 }),
    h('i', { class: 'fam' }, h(FamilySign, { family: s.family, size: 14 })),
    value && h('span', { class: 'val' }, value)), wrap);
  const words = `${stationName(s)}: ${stateWord(s, now)}${value ? ', ' + value : ''}${s.simulated ? ` (${t().simulated})` : ''}`;
  const options = { icon: L.divIcon({ className: `pin ${shape} ${s.family}`, html: wrap, iconSize: [44, 44], iconAnchor: [22, 22] }), title: words, alt: words };
  old?.marker.remove();
  const marker = L.marker([s.lat!, s.lon!], { ...options, keyboard: true, zIndexOffset: 1000 - rank(s, now) * 10 });
  marker.on('click', () => { location.hash = `#/station/${encodeURIComponent(s.id)}`; });
  marker.on('keypress', (e) => {
    if ((e as unknown as { originalEvent: KeyboardEvent }).originalEvent.key === 'Enter') location.hash = `#/station/${encodeURIComponent(s.id)}`;
  });
  marker.addTo(map);
  marker.getElement()?.setAttribute('aria-label', words);
  markers.set(s.id, { marker, look });
}
