// The timeline under a pointer and under the keys: what a column is, a closer look, back.
// Without it the page has its links and tables; nothing here is needed to read it.

const SVG = "http://www.w3.org/2000/svg";
const SHORTEST = 10 * 60 * 1000;
const readout = document.getElementById("readout");

let plot = null;
let underWay = null;

function setUp() {
  const box = document.querySelector("#timeline .plot-box");
  plot = null;
  if (!box) return;
  const told = JSON.parse(box.dataset.readout);
  const svg = box.querySelector("svg.plot");
  plot = { box, svg, told, place: -1, from: null };
  box.tabIndex = 0;
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", "Plot. The arrow keys move along the readings, plus and minus zoom in and out.");
  box.addEventListener("pointermove", follow);
  box.addEventListener("pointerleave", leave);
  box.addEventListener("pointerdown", begin);
  box.addEventListener("pointerup", finish);
  box.addEventListener("keydown", press);
}

function add(tag, kind, attributes) {
  const made = plot.svg.querySelector(`:scope > .${kind}`) ?? document.createElementNS(SVG, tag);
  made.setAttribute("class", kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  plot.svg.append(made);
}

function drop(...kinds) {
  for (const kind of kinds) plot.svg.querySelector(`:scope > .${kind}`)?.remove();
}

// Where things are: a share of the width is a share of the time.

function shareAt(event) {
  const seen = plot.svg.getBoundingClientRect();
  return Math.min(Math.max((event.clientX - seen.left) / seen.width, 0), 1);
}

function timeAt(share) {
  return plot.told.start + share * (plot.told.end - plot.told.start);
}

function shareOf(place) {
  return (plot.told.columns[place][0] * 1000) / (plot.told.end - plot.told.start);
}

function nearest(share) {
  const seconds = (timeAt(share) - plot.told.start) / 1000;
  const columns = plot.told.columns;
  let low = 0;
  let high = columns.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (columns[middle][0] < seconds) low = middle;
    else high = middle;
  }
  return high >= 0 && columns[high][0] - seconds < seconds - columns[low][0] ? high : low;
}

function point(place) {
  const { told } = plot;
  if (!told.columns.length) return;
  plot.place = Math.min(Math.max(place, 0), told.columns.length - 1);
  const [seconds, low, high, count] = told.columns[plot.place];
  const x = `${100 * shareOf(plot.place)}%`;
  const frame = told.frame;
  const y = (value) => frame[0] + (1 - (value - told.axis[0]) / (told.axis[1] - told.axis[0])) * frame[1];
  add("line", "cross", { x1: x, x2: x, y1: frame[0], y2: frame[0] + frame[1] });
  add("circle", "spot", { cx: x, cy: y(high), r: 4 });
  const values = low === high ? `${high}` : `${low} to ${high}`;
  const number = count > 1 ? `, ${count} readings` : "";
  say(`${clock(told.start + seconds * 1000)}: ${values} ${told.unit}${number}`);
}

function clock(at) {
  const { zone, days } = plot.told;
  const day = { timeZone: zone, day: "numeric", month: "short", year: "numeric" };
  const time = days ? {} : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  return new Intl.DateTimeFormat("en-GB", { ...day, ...time }).format(at);
}

function say(text) {
  readout.textContent = text;
}

// A pointer shows what it is over, and what it is drawn across is looked at closer.

function follow(event) {
  if (plot.from !== null) {
    const [left, right] = [plot.from, shareAt(event)].sort((a, b) => a - b);
    const [y, height] = plot.told.frame;
    add("rect", "chosen", { x: `${100 * left}%`, width: `${100 * (right - left)}%`, y, height });
  }
  point(nearest(shareAt(event)));
}

function leave() {
  plot.from = null;
  drop("cross", "spot", "chosen");
  say("");
}

function begin(event) {
  if (event.pointerType === "mouse" && event.button === 0) plot.from = shareAt(event);
}

function finish(event) {
  const from = plot.from;
  plot.from = null;
  drop("chosen");
  if (from === null || Math.abs(shareAt(event) - from) < 0.02) return;
  const [left, right] = [from, shareAt(event)].sort((a, b) => a - b);
  look(timeAt(left), timeAt(right));
}

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const last = plot.told.columns.length - 1;
  const keys = {
    ArrowLeft: () => point(plot.place < 0 ? last : plot.place - 1),
    ArrowRight: () => point(plot.place + 1),
    Home: () => point(0),
    End: () => point(last),
    "+": () => zoom(0.5),
    "=": () => zoom(0.5),
    "-": () => zoom(2),
  };
  if (!(event.key in keys)) return;
  event.preventDefault();
  keys[event.key]();
}

function zoom(times) {
  const { start, end } = plot.told;
  const middle = plot.place < 0 ? (start + end) / 2 : timeAt(shareOf(plot.place));
  const half = Math.max(((end - start) * times) / 2, SHORTEST / 2);
  look(middle - half, middle + half);
}

// Another time is another address: the page is asked for, and its timeline takes the place.

function look(from, to) {
  const asked = new URLSearchParams(location.search);
  asked.set("metric", plot.told.metric);
  for (const [name, at] of Object.entries({ from, to })) {
    asked.set(name, `${new Date(Math.round(at / 1000) * 1000).toISOString().slice(0, 19)}Z`);
  }
  go(`?${asked}`);
}

function go(address, isNew = true) {
  // A document that was asked for so is parsed without running, and no text is made HTML here.
  const asked = new XMLHttpRequest();
  // Who has asked for another time since is not shown this one, however late it comes.
  underWay?.abort();
  underWay = asked;
  asked.open("GET", address);
  asked.responseType = "document";
  asked.onerror = () => location.assign(address);
  asked.onload = () => {
    const found = asked.response?.getElementById("timeline");
    if (asked.status !== 200 || !found) return location.assign(address);
    const had = plot?.box.contains(document.activeElement);
    document.getElementById("timeline").replaceWith(document.importNode(found, true));
    if (isNew) history.pushState(null, "", address);
    setUp();
    if (had) plot?.box.focus();
    say(document.querySelector("#timeline figcaption p")?.textContent ?? "");
  };
  asked.send();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("#timeline a");
  const plain = event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
  if (!link || !plain) return;
  event.preventDefault();
  go(link.getAttribute("href"));
});
addEventListener("popstate", () => go(location.search || "?", false));

setUp();
