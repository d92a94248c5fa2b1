import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { startVm } from "../../../support/vm.ts";

function hostFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "software "));
  chmodSync(folder, 0o755);
  mkdirSync(join(folder, "bin"));
  writeFileSync(join(folder, "bin", "tool"), "#!/bin/sh\necho tool of the host\n", { mode: 0o755 });
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

test("a host folder is seen read-only, at its own path or another", async () => {
  const hostPath = hostFolder();
  const { vm } = startVm({ software: [hostPath, { hostPath, path: "/opt/tools" }] });
  expect((await vm.execArgv(join(hostPath, "bin", "tool"))).stdout).toBe("tool of the host\n");
  expect((await vm.exec("/opt/tools/bin/tool; touch /opt/tools/x; rm /opt/tools/bin/tool")).stdout).toBe(
    "tool of the host\n",
  );
  await expect(vm.writeFile("/opt/tools/x", "")).rejects.toMatchObject({ code: "EROFS" });
  expect(await vm.readdir("/opt/tools/bin")).toEqual(["tool"]);
});

test("a single file", async () => {
  const hostPath = join(hostFolder(), "bin", "tool");
  const { vm } = startVm({ software: [{ hostPath, path: "/opt/one/tool" }] });
  expect((await vm.execArgv("/opt/one/tool")).stdout).toBe("tool of the host\n");
});
