import { setTimeout as delay } from "node:timers/promises";
import { afterAll } from "vitest";
import { commandLineOf, leaveOut, ownDescendants } from "../host.ts";

/** Milliseconds for processes to end that have been told to. A VM's last helpers end a moment after it. */
const GRACE_MS = 30_000;

/** Fails a file that leaves a VM or a program: the next file in this process would meet it. Setup hooks run last. */
afterAll(async () => {
  const deadline = performance.now() + GRACE_MS;
  for (;;) {
    const left = ownDescendants();
    if (left.length === 0) return;
    if (performance.now() > deadline) {
      const lines = left.map(commandLineOf);
      // The next file of this process did not start them.
      for (const pid of left) leaveOut(pid);
      throw new Error(`The file leaves processes: ${lines.join("; ")}`);
    }
    await delay(20);
  }
});
