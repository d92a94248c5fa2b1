// @module-tag any-user
import { hostname } from "node:os";
import { expect, test } from "vitest";
import { isRoot } from "../../../../support/host.ts";
import { startVm, type TestVm } from "../../../../support/vm.ts";

type Vm = TestVm["vm"];

/** Content, or the code of the refusal. */
async function byTheServer(vm: Vm, path: string): Promise<string> {
  try {
    return Buffer.from(await vm.readFile(path)).toString("latin1");
  } catch (error) {
    return (error as { code: string }).code;
  }
}

const CODES: Record<string, string> = {
  "Permission denied": "EACCES",
  "No such file or directory": "ENOENT",
  "Operation not permitted": "EPERM",
};

/** The same by cat in the VM. */
async function inside(vm: Vm, path: string): Promise<string> {
  const { exitCode, stdout, stderr } = await vm.execArgv("cat", [path], { env: { LC_ALL: "C" } });
  return exitCode === 0 ? stdout : (CODES[stderr.trim().split(": ").at(-1) ?? ""] ?? stderr);
}

test("files of /proc read as a program in the VM reads them", async () => {
  const { vm } = startVm();
  const pid = await vm.spawnProcess("sleep", ["1000"]);
  const paths = [
    ...["kallsyms", "keys", "key-users", "modules", "kcore", "kmsg", "version", "cpuinfo", "filesystems"],
    ...["sysvipc/shm", "sysvipc/msg", "sysvipc/sem", "sys/kernel/hostname", "sys/kernel/ostype"],
    ...["sys/user/max_user_namespaces", "sys/kernel/msgmax", "sys/fs/mqueue/msg_max", "self-is-missing"],
    ...[1, pid].flatMap((process) =>
      [
        ...["cmdline", "comm", "maps", "environ", "stack", "syscall", "wchan", "auxv", "personality"],
        ...["uid_map", "gid_map", "limits", "cgroup", "mountinfo", "mem", "io"],
      ].map((name) => `${process}/${name}`),
    ),
  ].map((name) => `/proc/${name}`);
  const compared = paths.filter((path) => !path.endsWith("/mem") && !path.endsWith("/auxv"));
  for (const path of compared)
    expect([path, await byTheServer(vm, path)]).toEqual([path, await inside(vm, path)]);
  expect(await byTheServer(vm, `/proc/${pid}/mem`)).toMatch(/^E/);
});

test("what a program of the VM is told of itself is told to the API", async () => {
  const { vm } = startVm();
  const pid = await vm.spawnProcess("sleep", ["1000"]);
  expect(await byTheServer(vm, "/proc/sys/kernel/hostname")).toBe("agentos\n");
  expect(hostname()).not.toBe("agentos");
  const status = await byTheServer(vm, `/proc/${pid}/status`);
  expect(status).toMatch(/^Name:\tsleep\n/);
  expect(status).toMatch(/^Uid:\t1000\t1000\t1000\t1000$/m);
  expect(await byTheServer(vm, "/proc/meminfo")).toMatch(/^MemTotal: /);
  const read = await vm.beginFileRead("/proc/sys/kernel/hostname");
  expect([Buffer.from(read.data).toString(), read.transferId]).toEqual(["agentos\n", null]);
  const [first, second] = await vm.readFiles(["/proc/sys/kernel/hostname", "/proc/keys"]);
  expect(Buffer.from(first?.content ?? "").toString()).toBe("agentos\n");
  expect(Buffer.from(second?.content ?? "").toString("latin1")).toBe(await inside(vm, "/proc/keys"));
});

test("what shows the server more than the VM is closed", async () => {
  const { vm } = startVm();
  const pid = await vm.spawnProcess("sleep", ["1000"]);
  const { stdout } = await vm.exec("ls /proc/sys/net/ipv4/conf");
  expect(stdout).toBe("all\ndefault\nlo\n");
  for (const path of [
    "/proc/sys/net/ipv4/conf",
    `/proc/${pid}/map_files`,
    `/proc/${pid}/fdinfo`,
    "/proc/1/fdinfo",
  ])
    await expect(vm.readdir(path)).rejects.toMatchObject({ code: "EACCES" });
  await expect(vm.readFile("/proc/sys/net/ipv4/ip_forward")).rejects.toMatchObject({ code: "EACCES" });
  expect((await vm.readdirRecursive("/proc/sys", { maxDepth: 1 })).map(({ path }) => path)).toContain(
    "/proc/sys/kernel/hostname",
  );
});

test.runIf(isRoot)("a process that hides from the VM's user hides from the API", async () => {
  const { vm } = startVm();
  // By then init is there for certain.
  await vm.exec("true");
  for (const path of ["/proc/1/exe", "/proc/1/cwd/etc/passwd", "/proc/1/root/etc/passwd", "/proc/1/fd/0"])
    await expect(vm.readFile(path)).rejects.toMatchObject({ code: "EACCES" });
});

test("many are read at once", async () => {
  const { vm } = startVm();
  const reads = await Promise.all(
    Array.from({ length: 40 }, () => byTheServer(vm, "/proc/sys/kernel/hostname")),
  );
  expect(reads).toEqual(Array(40).fill("agentos\n"));
});

test("no program writes to the empty files and folders of /proc", { tags: ["attack"] }, async () => {
  const { vm } = startVm();
  const hidden = ["cmdline", "keys", "key-users", "timer_list", "diskstats", "interrupts", "locks"];
  const { stdout } = await vm.exec(
    `cd /proc; for name in ${hidden.join(" ")}; do
      [ -e $name ] || continue
      chmod 666 $name && echo "changed the mode of $name"
      echo forged >> $name && echo "wrote to $name"
    done 2>/dev/null
    mkdir acpi/made 2>/dev/null && echo "made a folder"
    echo forged 2>/dev/null >> /run/agentos/empty
    cat ${hidden.join(" ")} 2>/dev/null | wc -c`,
  );
  expect(stdout.trim()).toBe("0");
});
