import { expect, test } from "vitest";
import { startVm } from "../../support/vm.ts";

test("a line that the server adds to a program's output does not count against the program's limit", async () => {
  const { vm } = startVm({ limits: { captureBytes: 1000 } });
  const line = "curl -sS https://b.example 2>/dev/null; head -c 990 /dev/zero; exit 7";
  const { pid } = await vm.startRun(line, null, { outputLimit: "kill" });
  const all: Uint8Array[] = [];
  for (let after = -1; ; ) {
    const { chunks, end } = await vm.followProcess(pid, { after, waitMs: 10_000 });
    after = chunks.at(-1)?.seq ?? after;
    all.push(...chunks.map(({ data }) => data));
    if (end === null) continue;
    expect(Buffer.concat(all).toString()).toContain("the network policy denied b.example:443");
    expect(end).toMatchObject({ exitCode: 7, reason: "exit", timedOut: false });
    return;
  }
});
