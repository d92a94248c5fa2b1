import { once } from "node:events";
import net from "node:net";

/** Lowest port. All ranges are below the ephemeral ports, which connections and listeners on port 0 get. */
const FIRST_PORT = 20_000;
const PORTS_PER_RANGE = 250;
const RANGES = 48;

/** First port of this file's range. Listening on it claims the range among all test runs on this machine. */
let range: Promise<number> | undefined;
// A worker's next file may get the range of its last file, whose ports may still be closing. So files start apart.
let next = process.pid;

/** Returns a free port that no other test file gets. */
export async function freePort(): Promise<number> {
  range ??= claimRange();
  const first = await range;
  for (let tries = 0; tries < PORTS_PER_RANGE; tries++) {
    const port = first + 1 + (next++ % (PORTS_PER_RANGE - 1));
    const server = await listen(port);
    if (server === undefined) continue;
    server.close();
    await once(server, "close");
    return port;
  }
  throw new Error(`No free port in the range from ${first}`);
}

async function claimRange(): Promise<number> {
  const start = Number(process.env.VITEST_POOL_ID ?? 0);
  for (let index = 0; index < RANGES; index++) {
    const first = FIRST_PORT + ((start + index) % RANGES) * PORTS_PER_RANGE;
    const owner = await listen(first);
    if (owner === undefined) continue;
    owner.unref();
    return first;
  }
  throw new Error("Running test files have claimed every range of ports");
}

/** @returns `undefined` if the port is in use */
async function listen(port: number): Promise<net.Server | undefined> {
  const server = net.createServer();
  try {
    await once(server.listen(port, "127.0.0.1"), "listening");
    return server;
  } catch {
    return undefined;
  }
}
