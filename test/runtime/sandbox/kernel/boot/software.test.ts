// @module-tag any-user
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createSandboxFactory } from "../../../../../src/runtime/sandbox/factory.ts";
import { startVm } from "../../../../support/vm.ts";

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

test("a single file of the host is a program of the VM", async () => {
  const hostPath = join(hostFolder(), "bin", "tool");
  const { vm } = startVm({ software: [{ hostPath, path: "/opt/one/tool" }] });
  expect((await vm.execArgv("/opt/one/tool")).stdout).toBe("tool of the host\n");
});

test("a provision brings mounts, files, links and variables", async () => {
  const provision = {
    mounts: [
      { hostPath: hostFolder(), path: "/opt/provided" },
      { hostPath: "/no/such/folder", path: "/opt/gone", optional: true },
    ],
    files: [{ path: "/etc/provided.conf", content: "made\n", executable: true }],
    links: [{ path: "/opt/agentos/bin/provided", target: "/opt/provided/bin/tool" }],
    env: { PROVIDED: "by default", HOME: "/never" },
  };
  const { vm } = startVm({}, (options) => createSandboxFactory(options, () => [provision]));
  const { stdout } = await vm.exec(
    'provided; stat -c "%a %U" /etc/provided.conf; cat /etc/provided.conf; echo $PROVIDED $HOME; ls /opt',
  );
  expect(stdout).toBe("tool of the host\n755 agentos\nmade\nby default /home/agentos\nagentos\nprovided\n");
  const overridden = await vm.exec("echo $PROVIDED", { env: { PROVIDED: "by the call" } });
  expect(overridden.stdout).toBe("by the call\n");
});
