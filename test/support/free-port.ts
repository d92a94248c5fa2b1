import { once } from "node:events";
import net from "node:net";

/** Below the ports that the kernel gives to connections and to whoever asks for any. */
const FIRST_PORT = 20_000;
const PORTS_PER_WORKER = 500;
const MAX_WORKERS = 24;

const first = FIRST_PORT + (Number(process.env.VITEST_POOL_ID ?? 0) % MAX_WORKERS) * PORTS_PER_WORKER;
// Files run one after the other in a worker's place: those of the last one may still be closing.
let next = process.pid % PORTS_PER_WORKER;

/** A port that nobody listens on, and that no other test file is given meanwhile. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < PORTS_PER_WORKER; tries++) {
    const port = first + (next++ % PORTS_PER_WORKER);
    if (await isFree(port)) return port;
  }
  throw new Error(`No port is free from ${first} on`);
}

async function isFree(port: number): Promise<boolean> {
  const server = net.createServer();
  try {
    await once(server.listen(port, "127.0.0.1"), "listening");
  } catch {
    return false;
  }
  server.close();
  await once(server, "close");
  return true;
}
