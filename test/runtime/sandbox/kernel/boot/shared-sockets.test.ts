// @module-tag any-user
// @module-tag attack
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { startVm } from "../../../../support/vm.ts";

/** A folder of the host with a file, a daemon's socket and a FIFO, that everybody may use. */
async function sharedFolder() {
  const folder = mkdtempSync(join(tmpdir(), "shared, with: marks "));
  chmodSync(folder, 0o755);
  onTestFinished(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, "below"));
  writeFileSync(join(folder, "below", "file"), "of the host\n");
  const connections: string[] = [];
  const listen = async (path: string) => {
    const server = createServer((socket) => {
      connections.push(path);
      socket.end("a secret of the daemon\n");
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    onTestFinished(() => void server.close());
    chmodSync(path, 0o777);
  };
  await listen(join(folder, "below", "socket"));
  execFileSync("mkfifo", ["-m", "666", join(folder, "below", "fifo")]);
  return { folder, listen, connections };
}

const CONNECT = `
import socket, sys
for path in sys.argv[1:]:
  one = socket.socket(socket.AF_UNIX)
  try: one.connect(path); print(one.recv(100))
  except OSError as error: print(error.strerror)`;

test("a program of a VM reaches no daemon of the host through a socket in a shared folder", async () => {
  const { folder, listen, connections } = await sharedFolder();
  const { vm } = startVm({ software: [{ hostPath: folder, path: "/opt/shared" }] });
  await vm.boot();
  // A daemon may make its socket after the boot.
  await listen(join(folder, "late"));
  const { stdout } = await vm.execArgv("python3", [
    "-c",
    CONNECT,
    "/opt/shared/below/socket",
    "/opt/shared/late",
  ]);
  expect(stdout).toBe("Connection refused\nConnection refused\n");
  expect(connections).toEqual([]);
  expect((await vm.exec("cat /opt/shared/below/file")).stdout).toBe("of the host\n");
});

test("nor does it read from or write to a program of the host through a FIFO", async () => {
  const { folder } = await sharedFolder();
  const end = openSync(join(folder, "below", "fifo"), constants.O_RDWR | constants.O_NONBLOCK);
  onTestFinished(() => closeSync(end));
  writeSync(end, "of the host\n");
  const { vm } = startVm({ software: [{ hostPath: folder, path: "/opt/shared" }] });
  const { stdout } = await vm.exec(
    "exec 3<>/opt/shared/below/fifo; echo of the VM >&3; read -r line <&3; echo $line",
  );
  expect(stdout).toBe("of the VM\n");
  const data = Buffer.alloc(100);
  expect(data.toString("utf8", 0, readSync(end, data))).toBe("of the host\n");
});

test("a folder of the host is locked and watched for a VM alone", async () => {
  const { folder } = await sharedFolder();
  const software = [{ hostPath: folder, path: "/opt/shared" }];
  const [one, other] = [startVm({ software }), startVm({ software })];
  const { pid } = await one.vm.spawn("flock", [
    "/opt/shared/below/file",
    "sh",
    "-c",
    "echo locked; sleep 1001",
  ]);
  await one.outputHas(pid, "locked");
  expect((await other.vm.exec("flock -n /opt/shared/below/file echo free")).stdout).toBe("free\n");
});

test("a socket by itself is not shared", async () => {
  const { folder } = await sharedFolder();
  const { vm } = startVm({ software: [{ hostPath: join(folder, "below", "socket"), path: "/opt/socket" }] });
  await expect(vm.boot()).rejects.toMatchObject({
    code: "boot_failed",
    message: expect.stringContaining("neither a file nor a directory"),
  });
});
