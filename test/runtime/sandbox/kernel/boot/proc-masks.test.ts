// @module-tag any-user
// @module-tag attack
import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { startVm } from "../../../../support/vm.ts";

const HIDDEN = [
  "cmdline",
  "diskstats",
  "interrupts",
  "kcore",
  "keys",
  "key-users",
  "locks",
  "timer_list",
  "sched_debug",
];
const FOLDERS = ["acpi", "asound", "scsi"];

const present = (names: readonly string[]) =>
  names.map((name) => `/proc/${name}`).filter((path) => existsSync(path));

/** Prints how much a VM reads of hidden files and folders, the flags of /proc, and its places in cgroups. */
const LOOK = [
  // The VM has a lock, which /proc/locks would show.
  `flock /tmp cat ${present(HIDDEN).join(" ")} | wc -c`,
  `ls -A ${present(FOLDERS).join(" ")} /proc/version | grep -vc ':$\\|^$'`,
  "findmnt -n -o VFS-OPTIONS /proc | tail -n 1 | cut -d, -f 1-4",
  "(echo 0 > /proc/self/oom_score_adj; echo 2 > /proc/sys/kernel/printk) 2>&1 | grep -c 'Read-only file system'",
  "cut -d: -f3 /proc/self/cgroup | sort -u",
].join("; ");
const SEEN = ["0", "1", "ro,nosuid,nodev,noexec", "2", "/"];

test("hides parts of /proc, makes all of it read-only, and shows the VM's cgroup as the root", async () => {
  const { vm, screenHas } = startVm();
  const { stdout, stderr } = await vm.exec(LOOK);
  expect(stderr).toBe("");
  expect(
    stdout
      .trim()
      .split("\n")
      .map((line) => line.trim()),
  ).toEqual(SEEN);
  expect((await vm.exec("cat /proc/[0-9]*/cgroup")).stdout).not.toContain("agent-vm");
  const { shellId } = await vm.openShell({
    command: "sh",
    args: ["-c", "cut -d: -f3 /proc/self/cgroup | sort -u; echo end"],
  });
  expect(await screenHas(shellId, "end")).toBe("/\r\nend\r\n");
});

test("programs still read the parts of /proc that they need", async () => {
  const { vm } = startVm();
  const files = [
    "cpuinfo",
    "meminfo",
    "stat",
    "uptime",
    "loadavg",
    "mounts",
    "net/tcp",
    "sys/kernel/pid_max",
    "self/status",
  ];
  const { stdout } = await vm.exec(`wc -c ${files.map((name) => `/proc/${name}`).join(" ")} | awk '$1 == 0'`);
  expect(stdout).toBe("");
});
