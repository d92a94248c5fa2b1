// @module-tag slow
import { expect, test } from "vitest";
import { startTestServer } from "../support/servers.ts";

test("a request through a preview keeps its VM awake, and wakes a sleeping VM", async () => {
  const client = (await startTestServer({ kind: "kernel", vm: { sleepTimeoutMs: 300 } })).client();
  const vm = client.vm.getOrCreate("napper");
  // A daemon does not keep the VM awake by itself.
  const server =
    "http.createServer((q, r) => { r.write('tick'); setInterval(() => r.write('tick'), 100) }).listen(3000)";
  await vm.execArgv("setsid", ["-f", "node", "-e", server], { captureStdio: false });
  await vm.waitForPort(3000);
  const { url } = await vm.createSignedPreviewUrl(3000);
  const abort = new AbortController();
  const reader = (await fetch(url, { signal: abort.signal })).body!.getReader();
  // Reads for ten times the sleep timeout.
  for (let count = 0; count < 30; count++) expect((await reader.read()).done).toBe(false);
  abort.abort();
  await reader.read().catch(() => undefined);
  // The preview itself wakes the VM after its sleep. Nothing listens in the new boot.
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
