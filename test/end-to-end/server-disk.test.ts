import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { startTestServer } from "../support/servers.ts";

const MIB = 1024 * 1024;

test.skipIf(process.getuid?.() !== 0)(
  "a server with a full disk makes no VM, and the others go on",
  async () => {
    const disk = mkdtempSync(join(tmpdir(), "agent-vm-disk-"));
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=128M", "disk", disk]);
    onTestFinished(() => {
      execFileSync("umount", ["--lazy", disk]);
      rmSync(disk, { recursive: true });
    });
    const { client } = await startTestServer({ kind: "memory", process: true, dataDir: join(disk, "data") });
    const { vm } = client();
    const first = vm.getOrCreate("first");
    await first.writeFile("/workspace/x", "kept");
    const { bsize, bavail } = statfsSync(disk);
    const filler = join(disk, "filler");
    execFileSync("fallocate", ["--length", `${bsize * bavail - 4 * MIB}`, filler]);
    await expect(vm.getOrCreate("second").exists("/")).rejects.toMatchObject({
      code: "server_full",
      metadata: { resource: "disk", hint: expect.stringContaining("larger disk") },
    });
    await first.writeFile("/workspace/x", "written");
    await first.sleep();
    expect(Buffer.from(await first.readFile("/workspace/x")).toString()).toBe("written");
    rmSync(filler);
    expect(await vm.getOrCreate("second").exists("/workspace")).toBe(true);
  },
);
