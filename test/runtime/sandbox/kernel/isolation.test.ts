// @module-tag any-user
// @module-tag attack
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { expect, test } from "vitest";
import { startPooledVm, startVm, type TestVm } from "../../../support/vm.ts";

/** Ways in which a VM gets its sandbox. */
const WAYS: [name: string, start: () => TestVm | Promise<TestVm>][] = [
  ["a VM", () => startVm()],
  ["a VM that was booted ahead", () => startPooledVm()],
];

test("the user is agentos, 1000, with an empty home", async () => {
  const { vm } = startVm();
  const { stdout } = await vm.exec(
    "id; echo ~; hostname; readlink /home/user; ls -A /home/agentos | wc -l; stat -c '%U %a %n' /tmp /workspace /home/agentos",
  );
  expect(stdout).toBe(
    [
      "uid=1000(agentos) gid=1000(agentos) groups=1000(agentos)",
      "/home/agentos",
      "agentos",
      "/home/agentos",
      "0",
      "agentos 1777 /tmp",
      "agentos 755 /workspace",
      "agentos 755 /home/agentos",
      "",
    ].join("\n"),
  );
});

test.each(WAYS)("no process of %s has capabilities or can gain privileges", async (_name, start) => {
  const { vm } = await start();
  const { stdout } = await vm.exec(
    "grep -hE '^(Cap(Inh|Prm|Eff|Amb)|NoNewPrivs|Seccomp):' /proc/[0-9]*/status | sort | uniq",
  );
  expect(stdout.replaceAll("\t", "")).toBe(
    [
      "CapAmb:0000000000000000",
      "CapEff:0000000000000000",
      "CapInh:0000000000000000",
      "CapPrm:0000000000000000",
      "NoNewPrivs:1",
      "Seccomp:2",
      "",
    ].join("\n"),
  );
});

test("/proc shows only the VM's processes", async () => {
  const { vm } = startVm();
  const { stdout } = await vm.exec("ls /proc | grep -c '^[0-9]'; readlink /proc/1/exe || echo hidden");
  expect(Number(stdout.split("\n")[0])).toBeLessThan(10);
  expect(stdout.split("\n")[1]).toBe("hidden");
});

test.each(WAYS)("commands of %s cannot signal, trace or inspect init", async (_name, start) => {
  const { vm } = await start();
  await vm.exec("kill -KILL 1; kill -STOP 1; kill -INT 1; true");
  const looks = await vm.exec("cat /proc/1/environ; ls /proc/1/fd; cat /proc/1/mem; ls /proc/1/root/");
  expect(looks.stdout).toBe("");
  expect(looks.stderr.match(/Permission denied/g)?.length).toBe(4);
  const trace = await vm.exec(`python3 -c "
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
print(libc.ptrace(16, 1, 0, 0), ctypes.get_errno())"`);
  expect(trace.stdout).toBe("-1 1\n");
  expect((await vm.exec("echo on")).stdout).toBe("on\n");
});

test("the VM sees no files of the host except for the shared ones", async () => {
  const { vm } = startVm();
  const { stdout } = await vm.exec(
    "ls /; cat /etc/passwd; ls /root /home /srv /mnt /media /boot /sys 2>/dev/null",
  );
  expect(stdout.split("\n").slice(0, 5)).toEqual(["bin", "dev", "etc", "home", "lib"]);
  expect(stdout).not.toContain(hostname() === "agentos" ? "\0" : `${hostname()}\n`);
  const hostUsers = readFileSync("/etc/passwd", "utf8").split("\n").length;
  expect((await vm.exec("wc -l < /etc/passwd")).stdout).toBe("3\n");
  expect(hostUsers).toBeGreaterThan(3);
  expect((await vm.exec("cat /etc/shadow /etc/hostname 2>/dev/null")).stdout).toBe("agentos\n");
});

test("/usr is read-only", async () => {
  const { vm } = startVm();
  const result = await vm.exec(
    "touch /usr/x; touch /usr/bin/x; rm /usr/bin/env; ls /usr/bin/env; mount -o remount,rw /usr; umount /usr",
  );
  expect(result.stdout).toBe("/usr/bin/env\n");
  expect(result.stderr.match(/Read-only file system/g)?.length).toBe(3);
});

test.each(WAYS)(
  "commands of %s cannot make namespaces, mounts or devices, or change kernel settings",
  async (_name, start) => {
    const { vm } = await start();
    const commands = [
      "unshare --user true",
      "unshare --mount true",
      "mount -t tmpfs none /mnt",
      "mknod /tmp/device b 8 0",
      "mknod /tmp/memory c 1 1",
      "chroot / true",
      "echo c > /proc/sysrq-trigger",
      "echo 1 > /proc/sys/kernel/panic",
      "hostname other",
      "ip link add dummy0 type dummy",
      "ip link set lo down",
      "swapon /tmp/file",
      "su -c id root </dev/null",
    ];
    for (const command of commands) expect((await vm.exec(command)).exitCode, command).not.toBe(0);
  },
);

test("the VM's only network interface is a loopback", async () => {
  const { vm } = startVm();
  const { stdout } = await vm.exec(
    "cut -d: -f1 /proc/net/dev | tail -n +3 | tr -d ' '; ip -o addr show up | awk '{ print $4 }'",
  );
  expect(stdout).toBe("lo\n127.0.0.1/8\n::1/128\n");
  expect((await vm.exec("exec 3<>/dev/tcp/8.8.8.8/53")).stderr).toContain("Network is unreachable");
});

test.each(WAYS)("commands and shells of %s inherit no descriptor of the server", async (_name, start) => {
  const { vm, screenHas } = await start();
  const { stdout } = await vm.exec("ls -l /proc/self/fd");
  const open = [...stdout.matchAll(/ (\d+) -> (.*)/g)].map(([, fd, target]) => `${fd} ${target}`);
  // /dev/null replaces descriptors that the server inherited itself.
  const unexpected = open.filter(
    (entry) => !/^\d+ \/dev\/null$|^[12] pipe:\[\d+\]$|^\d+ \/proc\/\d+\/fd$/.test(entry),
  );
  expect(open.length).toBeGreaterThanOrEqual(4);
  expect(unexpected).toEqual([]);
  const { shellId } = await vm.openShell({ command: "ls", args: ["-l", "/proc/self/fd"] });
  await vm.waitShell(shellId);
  const targets = [...(await screenHas(shellId, "->")).matchAll(/-> (.*)\r/g)].map(([, target]) => target);
  expect(targets.filter((target) => !/^\/dev\/pts\/\d+$|^\/proc\/\d+\/fd$/.test(target as string))).toEqual(
    [],
  );
});

test("a VM cannot see files and processes of another VM", async () => {
  const one = startVm().vm;
  const two = startVm().vm;
  await one.writeFile("/workspace/secret", "one's");
  await one.spawn("sleep", ["4242"]);
  expect(await two.exists("/workspace/secret")).toBe(false);
  expect((await two.exec("ps -ef")).stdout).not.toContain("4242");
});

test("the VM has the server's version of Node, and npm", async () => {
  const { vm } = startVm();
  expect((await vm.exec("node -p 'process.version'")).stdout).toBe(`${process.version}\n`);
  expect((await vm.exec("npm --version")).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});
