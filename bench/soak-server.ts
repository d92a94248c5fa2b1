import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** The server of `npm run soak`: on SIGUSR2 it collects garbage and writes its memory and its timers to stderr. */
setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;
process.on("SIGUSR2", () => {
  collectGarbage();
  const timers = process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
  const { heapUsed, rss } = process.memoryUsage();
  process.stderr.write(
    `SOAK ${JSON.stringify({ heapMib: heapUsed / 2 ** 20, residentMib: rss / 2 ** 20, timers })}\n`,
  );
});
await import("../test/support/server-program.ts");
