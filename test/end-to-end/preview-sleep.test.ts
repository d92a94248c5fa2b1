import { expect, test } from "vitest";
import { startOwnServer } from "../support/own-server.ts";

test("what goes through a preview keeps its VM awake; a preview of a sleeping one wakes it", async () => {
  const { client } = await startOwnServer({ sleepTimeoutMs: 300 });
  const vm = client.vm.getOrCreate("napper");
  // A daemon, which does not keep the VM awake by itself.
  const server =
    "http.createServer((q, r) => { r.write('tick'); setInterval(() => r.write('tick'), 100) }).listen(3000)";
  await vm.execArgv("setsid", ["-f", "node", "-e", server], { captureStdio: false });
  await vm.waitForPort(3000);
  const { url } = await vm.createSignedPreviewUrl(3000);
  const abort = new AbortController();
  const reader = (await fetch(url, { signal: abort.signal })).body!.getReader();
  // Ten times as long as it would take to fall asleep.
  for (let count = 0; count < 30; count++) expect((await reader.read()).done).toBe(false);
  abort.abort();
  await reader.read().catch(() => undefined);
  // Asleep and woken by the preview itself, it is a machine in which nothing listens.
  await expect
    .poll(
      async () => {
        const probe = new AbortController();
        const { status } = await fetch(url, { signal: probe.signal });
        probe.abort();
        return status;
      },
      { interval: 2_000, timeout: 20_000 },
    )
    .toBe(502);
});
