// @module-tag any-user
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { programFolders } from "../../../../../src/runtime/sandbox/kernel/boot/program-folders.ts";
import { seccompSupport } from "../../../../../src/runtime/sandbox/kernel/seccomp/support.ts";
import { durableVm } from "../../../../support/durable-vm.ts";
import { fileVm, startVm } from "../../../../support/vm.ts";

const machine = fileVm();

test.each([
  ["apt-get install -y hello", "cannot be installed on this machine"],
  ["apt update", "cannot be installed on this machine"],
  ["sudo apt-get install -y hello", "Run the command without it"],
  ["su -c true", "Run the command without it"],
  ["systemctl restart nginx", "Start the program itself"],
  ["service nginx start", "Start the program itself"],
  ["docker run hello", "containers cannot run on this machine"],
])("%s says in one line what to do instead", async (line, words) => {
  const { exitCode, stdout, stderr } = await machine().vm.exec(line);
  expect([exitCode, stdout, stderr.split("\n").length]).toEqual([1, "", 2]);
  expect(stderr).toContain(words);
});

test("a program of the same name that the VM brings is called instead", async () => {
  const { vm } = startVm();
  const lines =
    "mkdir -p ~/.local/bin; printf '#!/bin/sh\\necho own' > ~/.local/bin/docker; chmod 755 ~/.local/bin/docker";
  expect((await vm.exec(`${lines}; docker`)).stdout).toBe("own\n");
});

/** Questions about the machine. */
const ANSWERS: [line: string, answer: string | RegExp][] = [
  ["hostname; uname -n; cat /etc/hostname", "agentos\nagentos\nagentos\n"],
  ["hostname -f; hostname -i", "agentos\n127.0.0.1\n"],
  ["whoami; id -un; id -gn; echo $LOGNAME", "agentos\nagentos\nagentos\nagentos\n"],
  ["id", /^uid=1000\(agentos\) gid=1000\(agentos\)/],
  [
    "getent passwd 1000; getent passwd root; getent group agentos",
    /^agentos:x:1000:.*\nroot:x:0:.*\nagentos:x:1000:\n$/,
  ],
  ["getent hosts agentos", /^127\.0\.0\.1 +agentos\n$/],
  ["ulimit -n; ulimit -u; ulimit -c", "4096\n512\n0\n"],
  ["locale 2>/dev/null | grep LANG=; perl -e 1 2>&1", "LANG=C.UTF-8\n"],
  ["date +%Z; cat /etc/timezone", "UTC\nEtc/UTC\n"],
  ["lscpu | grep -c '^CPU(s):'; getconf _NPROCESSORS_CONF", `1\n${cpus().length}\n`],
  ["cat /etc/machine-id", /^[0-9a-f]{32}\n$/],
];

test.each(ANSWERS)("%s gives a sane answer", async (line, answer) => {
  const { stdout } = await machine().vm.exec(line);
  expect(stdout).toEqual(typeof answer === "string" ? answer : expect.stringMatching(answer));
});

test("folders that the host's programs need at their start are there, and the user may write there", async () => {
  const folders = programFolders();
  const { stdout } = await machine().vm.exec(
    folders.map((path) => `test -w /${path} || echo ${path}`).join("; ") || ":",
  );
  expect(stdout).toBe("");
});

test("ping on loopback works", async ({ skip }) => {
  skip(!existsSync("/usr/bin/ping") && !existsSync("/bin/ping"), "the host has no ping");
  const { exitCode, stdout } = await machine().vm.exec("ping -c1 -W5 127.0.0.1 && ping -c1 -W5 ::1");
  expect([exitCode, stdout.match(/1 received/g)?.length]).toEqual([0, 2]);
});

test("ssh localhost is refused at once", async ({ skip }) => {
  skip(!existsSync("/usr/bin/ssh"), "the host has no ssh");
  const { exitCode, stderr } = await machine().vm.exec("ssh -o BatchMode=yes localhost true");
  expect([exitCode, stderr]).toEqual([255, expect.stringContaining("Connection refused")]);
});

test.runIf(seccompSupport("default").filter !== "")(
  "chown to another user is EPERM, to oneself it works",
  async () => {
    const { stdout } = await machine().vm.exec(
      `cd "$(mktemp -d)"; touch f; ln -s f l; exec 2>&1; LC_ALL=C
     for ids in 0 :0 1000:5 0:1000 1000 :1000 1000:1000; do chown $ids f; chown -h $ids l; done
     python3 -c 'import os; os.chown("f", -1, -1)' || echo python`,
    );
    expect(stdout.match(/Operation not permitted/g)?.length).toBe(8);
    expect(stdout.split("\n").length).toBe(9);
  },
);

test("git accepts a repository that another user shares", async ({ skip }) => {
  skip(!existsSync("/usr/bin/git"), "the host has no git");
  const shared = mkdtempSync(join(tmpdir(), "shared-"));
  onTestFinished(() => rmSync(shared, { recursive: true }));
  chmodSync(shared, 0o755);
  execFileSync("git", ["init", "-q", shared]);
  execFileSync("git", [
    "-C",
    shared,
    "-c",
    "user.name=a",
    "-c",
    "user.email=a@b.c",
    "commit",
    "-q",
    "--allow-empty",
    "-m",
    "first",
  ]);
  const { vm } = startVm({ software: [{ hostPath: shared, path: "/opt/shared" }] });
  const { stdout, stderr } = await vm.exec(
    "git -C /opt/shared log --format=%s; git clone -q /opt/shared copy && ls -A copy",
  );
  expect([stdout, stderr]).toEqual(["first\n.git\n", ""]);
});

test("the option timezone sets the zone of programs, and a command's TZ overrides it", async () => {
  const { vm } = startVm({ timezone: "Asia/Tokyo" });
  const { stdout } = await vm.exec(
    "date +%z; env -u TZ date +%z; cat /etc/timezone; node -p 'new Date(0).getHours()'",
  );
  expect(stdout).toBe("+0900\n+0900\nAsia/Tokyo\n9\n");
  expect((await vm.exec("date +%z", { env: { TZ: "America/Lima" } })).stdout).toBe("-0500\n");
});

test("a machine keeps its id over a sleep, and two machines differ", async () => {
  const [one, other] = [durableVm(), durableVm()];
  const idOf = async (of: typeof one) => (await of.vm().exec("cat /etc/machine-id; echo x >> ~/log")).stdout;
  const id = await idOf(one);
  expect(await idOf(other)).not.toBe(id);
  await one.sleep();
  expect(await idOf(one)).toBe(id);
});
