import { openSync } from "node:fs";
import { access, open } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { PoolPlace } from "../../../../src/runtime/sandbox/kernel/pool-place.ts";

/*
 * Opens a FIFO for many VMs, each of which keeps a thread of the pool waiting, until so many of them have a thread. Then works for
 * another VM, and prints whether that and the rest of the pool go on.
 */

/** Time in which work that waits for no other VM begins for sure. */
const QUIET_MS = 1_000;

const [fifo = "", vms = "", threads = ""] = process.argv.slice(2);
let begun = 0;
const opens = Array.from({ length: Number(vms) }, () =>
  new PoolPlace().run(async () => {
    begun += 1;
    await (await open(fifo, "r")).close();
  }),
);
while (begun < Number(threads)) await delay(20);
const innocent = new PoolPlace().run(() => access("/"));
if (begun === opens.length) await innocent;
const outcome = await Promise.race([innocent.then(() => "ended"), delay(QUIET_MS).then(() => "waits")]);
await access("/");
process.stdout.write(`${begun} begun, innocent ${outcome}\n`);
// Lets all of them go.
openSync(fifo, "r+");
await Promise.all([innocent, ...opens]);
process.exit();
