import { parseArgs } from "node:util";

/**
 * `npm run bench:fleet`: simulates servers behind one or several Rivet Engines for a day, with the costs that `bench:engine`,
 * `bench:scale` and `test:scale` have measured. VMs arrive, work, sleep, and wake; servers fail and are restarted. `--servers`,
 * `--vms`, `--engines` and `--hours` change the fleet. `--rebalance HOURS` drains the fullest server so often. It uses no machine and no network.
 */
const { values } = parseArgs({
  options: {
    servers: { type: "string", default: "100" },
    vms: { type: "string", default: "100000" },
    engines: { type: "string", default: "1" },
    hours: { type: "string", default: "24" },
    rebalance: { type: "string", default: "0" },
    seed: { type: "string", default: "1" },
  },
});

/** Measured costs: see docs/scale.md. */
const COST = {
  /**
   * Milliseconds of an engine's CPU. A sleep is part of the wake. An awake VM stores 1 KiB every 5 s for a client of its
   * server, which costs a seventh of a write through the engine's gateway.
   */
  engine: { create: 38, wake: 80, awakeSecond: 0.2 + 4.2 / 7 / 5 },
  /** Milliseconds of a server's CPU. */
  server: { boot: 110, checkpoint: 40, awakeSecond: 8 },
  /** Seconds until the VMs of a killed server answer elsewhere. */
  failover: 11,
  /** Seconds to drain a server. */
  drain: 3,
} as const;

/** CPUs of an engine, and of a server. */
const CPUS = { engine: 8, server: 16 };
/** VMs that one server takes awake. */
const SLOTS = 1_200;
/** Mean seconds that a VM works, and that it sleeps. A sleeping VM costs a row of the engine. */
const WORKS_S = 300;
const SLEEPS_S = 4_200;
/** Mean hours between two crashes of a server, and seconds until it is back. */
const CRASH_HOURS = 720;
const BACK_S = 60;
/** Every server is restarted once a day, one after the other. */
const STEP_S = 1;

/** A server is drained for balance if it has so many times the mean of all. */
const UNEVEN = 1.2;

const servers = Number(values.servers);
const rebalanceS = Number(values.rebalance) * 3600;
const vms = Number(values.vms);
const engines = Number(values.engines);
const seconds = Number(values.hours) * 3600;

let state = Number(values.seed) >>> 0;
/** Returns a number from 0 to 1, the same in every run. */
function random(): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return state / 2 ** 32;
}

/** Draws how many of `count` events happen whose chance is small. */
function drawn(count: number, chance: number): number {
  const mean = count * chance;
  const spread = Math.sqrt(mean) * (random() + random() + random() - 1.5) * 2;
  return Math.max(0, Math.min(count, Math.round(mean + spread)));
}

interface Host {
  awake: number;
  /** Second at which a server that is down is back. */
  backAt: number;
}

const hosts: Host[] = Array.from({ length: servers }, () => ({ awake: 0, backAt: 0 }));
let asleep = 0;
let unborn = vms;
let refused = 0;
let moved = 0;
let interrupted = 0;
let balanced = 0;
const peak = { awake: 0, engine: 0, server: 0, fullest: 0, leastFull: 0 };
let engineMs = 0;

/** Finds the server that is to be drained for balance now. */
function uneven(now: number): Host | undefined {
  if (rebalanceS === 0 || now % rebalanceS !== 0) return undefined;
  const fullest = hosts.reduce((most, host) => (host.awake > most.awake ? host : most));
  const mean = hosts.reduce((sum, { awake }) => sum + awake, 0) / servers;
  return fullest.awake > mean * UNEVEN ? fullest : undefined;
}

/** Gives VMs to servers, as an engine does: at random, weighted by the part of their slots that is free. */
function place(count: number, now: number): number {
  const up = hosts.filter(({ backAt }) => backAt <= now);
  const free = up.map(({ awake }) => Math.max(0, SLOTS - awake));
  const all = free.reduce((sum, each) => sum + each, 0);
  let placed = 0;
  up.forEach((host, index) => {
    const part = all === 0 ? 0 : ((free[index] ?? 0) / all) * count;
    const share = Math.min(free[index] ?? 0, Math.floor(part));
    host.awake += share;
    placed += share;
  });
  // The rest, one by one.
  for (let left = Math.min(count, all) - placed; left > 0; left -= 1) {
    let host = up[Math.floor(random() * up.length)];
    while (host !== undefined && host.awake >= SLOTS) host = up[Math.floor(random() * up.length)];
    if (host === undefined) break;
    host.awake += 1;
    placed += 1;
  }
  return placed;
}

for (let now = 0; now < seconds; now += STEP_S) {
  let engine = 0;
  // All VMs are made in the first two hours.
  const arrivals = Math.min(unborn, Math.ceil(vms / 7200));
  const made = place(arrivals, now);
  unborn -= made;
  const waking = drawn(asleep, STEP_S / SLEEPS_S);
  const woken = Math.min(asleep, place(waking, now));
  asleep -= woken;
  refused += arrivals - made + Math.max(0, waking - woken);
  engine += made * COST.engine.create + woken * COST.engine.wake;
  let busiest = 0;
  const drained = uneven(now);
  if (drained !== undefined) balanced += 1;
  const boots = (made + woken) / servers;
  for (const host of hosts) {
    const tired = drawn(host.awake, STEP_S / WORKS_S);
    host.awake -= tired;
    asleep += tired;
    const ms =
      boots * COST.server.boot + tired * COST.server.checkpoint + host.awake * COST.server.awakeSecond;
    busiest = Math.max(busiest, ms);
    if (host.backAt > now) continue;
    const isCrash = random() < STEP_S / (CRASH_HOURS * 3600);
    const isRestart =
      Math.floor((now / 86_400) * servers) !== Math.floor(((now + STEP_S) / 86_400) * servers);
    const isThis = hosts.indexOf(host) === Math.floor((now / 86_400) * servers) % servers;
    if (!isCrash && !(isRestart && isThis) && host !== drained) continue;
    const away = host.awake;
    host.awake = 0;
    host.backAt = now + BACK_S;
    moved += away;
    if (isCrash) interrupted += away * COST.failover;
    else interrupted += away * COST.drain * 0.5;
    engine += away * COST.engine.wake;
    // VMs that nobody takes sleep until their next call.
    asleep += away - place(away, now);
  }
  const awake = hosts.reduce((sum, host) => sum + host.awake, 0);
  engine += awake * COST.engine.awakeSecond * STEP_S;
  engineMs += engine;
  const counts = hosts.filter(({ backAt }) => backAt <= now - 600).map((host) => host.awake);
  if (awake > peak.awake) {
    peak.awake = awake;
    peak.fullest = Math.max(...counts);
    peak.leastFull = Math.min(...counts);
  }
  peak.engine = Math.max(peak.engine, engine / engines / (STEP_S * 1000) / CPUS.engine);
  peak.server = Math.max(peak.server, busiest / (STEP_S * 1000) / CPUS.server);
}

const percent = (part: number) => `${(part * 100).toFixed(0)} %`;
const rows: readonly (readonly [name: string, value: string])[] = [
  ["servers, VMs, engines", `${servers}, ${vms.toLocaleString("en")}, ${engines}`],
  ["awake at most", peak.awake.toLocaleString("en")],
  ["awake on the fullest and on the emptiest server then", `${peak.fullest}, ${peak.leastFull}`],
  ["CPU of an engine, mean", percent(engineMs / engines / (seconds * 1000) / CPUS.engine)],
  ["CPU of an engine, at most", percent(peak.engine)],
  ["CPU of a server, at most", percent(peak.server)],
  ["VMs moved by crashes, restarts and drains", moved.toLocaleString("en")],
  ["drains for balance", balanced.toLocaleString("en")],
  ["seconds without an answer, a VM and day", (interrupted / vms / (seconds / 86_400)).toFixed(3)],
  ["creations and wakes refused for lack of room", refused.toLocaleString("en")],
];
for (const [name, value] of rows) console.log(`${name.padEnd(54)} ${value}`);
