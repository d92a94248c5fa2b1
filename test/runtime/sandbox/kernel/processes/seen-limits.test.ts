// @module-tag any-user
import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { cgroupSupport } from "../../../../../src/runtime/sandbox/kernel/processes/cgroup.ts";
import { startVm } from "../../../../support/vm.ts";

const MEMORY = 512 * 1024 * 1024;
const limits = { memoryBytes: MEMORY, cpus: 1 };

describe.runIf(cgroupSupport().create !== undefined)("a VM with a cgroup", () => {
  test("sees its own limits, read-only, and nothing of other VMs or of the host", async () => {
    const [{ vm }, { vm: other }] = [startVm({ limits }), startVm()];
    const neighbour = await other.spawnProcess("sleep", ["1000"]);
    const { stdout, stderr } = await vm.exec(
      `cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes memory.max 2>/dev/null
       find . -mindepth 1 -type d | wc -l; ls -d * | wc -l
       find -L . -mindepth 1 -name '*vm*' | wc -l; find . -name cgroup.procs -exec cat {} + | sort -un | tr '\\n' ' '; echo
       grep ' /sys/fs/' /proc/self/mountinfo | cut -d' ' -f4,6 | sort -u; ls -A ..`,
    );
    expect(stderr).toBe("");
    const [memory, folders, names, foreign, pids, mounts, above] = stdout.split("\n");
    const isV2 = folders === "0";
    expect([memory, foreign, mounts, above]).toEqual([
      `${MEMORY}`,
      "0",
      "/ ro,nosuid,nodev,noexec,relatime",
      "cgroup",
    ]);
    // Version 1 has a folder for each controller, and no child of any.
    if (!isV2) expect(Number(names)).toBeGreaterThanOrEqual(Number(folders));
    const own = (await vm.allProcesses()).map(({ pid }) => pid);
    expect(own).not.toContain(neighbour + 100_000);
    const gone =
      pids
        ?.trim()
        .split(" ")
        .map(Number)
        .filter((pid) => pid > 100) ?? [];
    expect(gone).toEqual([]);
    await other.killProcess(neighbour);
  });

  test("cannot write to its cgroup, and reads it by the API as its programs do", async () => {
    const { vm } = startVm({ limits });
    const { stdout } = await vm.exec(
      "for f in $(find /sys/fs/cgroup -type f); do { echo 0 > $f; } 2>/dev/null && echo $f; done; mkdir /sys/fs/cgroup/*/x /sys/fs/cgroup/x 2>/dev/null; find /sys/fs/cgroup -name cgroup.procs | head -1",
    );
    const [path = "", ...rest] = stdout.split("\n");
    expect([path, rest]).toEqual([expect.stringMatching(/cgroup\.procs$/), [""]]);
    const pids = (text: string) => text.trim().split("\n").map(Number);
    const byServer = pids(Buffer.from(await vm.readFile(path)).toString());
    const inside = pids((await vm.exec(`cat ${path}`)).stdout);
    expect(Math.max(...byServer)).toBeLessThanOrEqual(Math.max(...inside) + 10);
    await expect(vm.writeFile(path, "0")).rejects.toMatchObject({ code: "EROFS" });
  });

  test("tells runtimes their memory and CPUs", async () => {
    const { vm } = startVm({ limits: { ...limits, cpus: 1.5 } });
    const script =
      "console.log(process.constrainedMemory(), v8.getHeapStatistics().heap_size_limit < 2 ** 29)";
    const { stdout } = await vm.exec(`node -e '${script}'; echo $GOMAXPROCS $PYTHON_CPU_COUNT $GOMEMLIMIT`);
    expect(stdout).toBe(`${MEMORY} true\n2 2 483183820\n`);
  });

  test("shows its memory in /proc/meminfo, and what it uses of it", async () => {
    const { vm } = startVm({ limits });
    const { stdout } = await vm.exec(
      "free -b | awk '/^Mem/ { print $2 }'; node -p 'os.totalmem()'; awk '/^Swap(Total|Free)/ { print $2 }' /proc/meminfo; { echo 1 > /proc/meminfo; } 2>&1",
    );
    expect(stdout).toMatch(new RegExp(`^${MEMORY}\\n${MEMORY}\\n0\\n0\\n.*Read-only file system\\n$`));
    await vm.exec("head -c 128M /dev/zero > /tmp/zeros");
    const free = async () =>
      Number((await vm.exec("awk '/^MemFree/ { print $2 * 1024 }' /proc/meminfo")).stdout);
    await expect.poll(free).toBeLessThan(MEMORY - 2 ** 27);
    const text = Buffer.from(await vm.readFile("/proc/meminfo")).toString();
    expect(text).toMatch(/^MemTotal: +524288 kB\n/);
  });

  test("tells Java its memory and CPUs", { tags: ["slow"] }, async ({ skip }) => {
    skip(!existsSync("/usr/bin/java"), "the host has no Java");
    const { vm } = startVm({ limits });
    const { stderr } = await vm.exec(
      "java -XshowSettings:system -XX:+PrintFlagsFinal -version 2>&1 >/dev/null | cat >&2; java -XX:+PrintFlagsFinal -version 2>/dev/null | grep ' MaxHeapSize' >&2",
    );
    expect(stderr).toMatch(/Effective CPU Count: 1\n/);
    expect(Number(/MaxHeapSize\s*=\s*(\d+)/.exec(stderr)?.[1])).toBeLessThan(MEMORY / 2);
  });
});

test.runIf(cgroupSupport().create === undefined)("a VM without a cgroup has no /sys/fs", async () => {
  const { vm } = startVm();
  expect(await vm.exists("/sys/fs")).toBe(false);
});
