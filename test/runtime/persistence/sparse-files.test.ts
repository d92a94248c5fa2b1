// @module-tag attack
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { durableVm, run } from "../../support/durable-vm.ts";

const MADE = [
  "truncate -s 100T endless",
  "printf data | dd of=database bs=1 seek=6G conv=notrunc status=none",
  "truncate -s 8G database",
  "head -c 300000 /dev/urandom > mixed && truncate -s 1M mixed && head -c 5000 /dev/urandom >> mixed",
].join(" && ");
const SUMS = "sha256sum mixed; dd if=database bs=1 skip=6G count=4 status=none; stat -c '%n %s' *";

test("files with holes larger than the VM survive sleep, crash, undo and a snapshot as holes", async () => {
  const machine = durableVm();
  await run(machine.vm(), MADE);
  const before = await run(machine.vm(), SUMS);
  const cpu = process.cpuUsage();
  expect(await machine.vm().checkpoint()).toMatchObject({ unreadable: [] });
  const { user, system } = process.cpuUsage(cpu);
  expect((user + system) / 1e6).toBeLessThan(10);
  const { id } = await machine.vm().createSnapshot();
  await machine.sleep();
  expect(await run(machine.vm(), SUMS)).toBe(before);
  expect(Number.parseInt(await run(machine.vm(), "du -sk ."), 10)).toBeLessThan(2000);
  await run(machine.vm(), "truncate -s 5 *");
  await machine.vm().undo(["/workspace/endless", "/workspace/database", "/workspace/mixed"], id);
  expect(await run(machine.vm(), SUMS)).toBe(before);
  await run(machine.vm(), "rm *");
  expect(await machine.vm().diff(id)).toHaveLength(3);
  await machine.vm().restoreSnapshot(id);
  expect(await run(machine.vm(), SUMS)).toBe(before);
  await machine.crash();
  expect(await run(machine.vm(), SUMS)).toBe(before);
});

test("zeros, which earlier servers stored for holes, become holes again by undo too", async () => {
  const vm = durableVm().vm();
  await run(vm, "head -c 8M /dev/zero > zeros && head -c 1000 /dev/urandom >> zeros");
  const before = await run(vm, "sha256sum zeros");
  const { id } = await vm.createSnapshot();
  await run(vm, "truncate -s 5 zeros");
  await vm.undo(["/workspace/zeros"], id);
  expect(await run(vm, "sha256sum zeros")).toBe(before);
  expect(Number.parseInt(await run(vm, "du -k zeros"), 10)).toBeLessThan(100);
});

test("archives and forks of files with holes stay small, and tar of the host reads and writes them", async () => {
  const machine = durableVm();
  await run(machine.vm(), MADE);
  const before = await run(machine.vm(), SUMS);
  const archive = await machine.vm().exportTar("/workspace");
  expect(archive.length).toBeLessThan(1_000_000);
  const host = mkdtempSync(join(tmpdir(), "agent-vm-sparse-"));
  onTestFinished(() => rmSync(host, { recursive: true }));
  execFileSync("tar", ["-x", "-C", host, "--exclude=./endless", "--no-same-owner"], { input: archive });
  expect(statSync(join(host, "database"))).toMatchObject({ size: 8 * 1024 ** 3 });
  expect(statSync(join(host, "database")).blocks).toBeLessThan(100);
  const packed = execFileSync("tar", ["-c", "-S", "--format=posix", "-C", host, "."]);
  await machine.vm().importTar(packed, "/opt/host");
  await machine.vm().importTar(archive, "/opt/copy");
  expect(await run(machine.vm(), `cd /opt/copy; ${SUMS}`)).toBe(before);
  const compared = "cmp mixed /opt/host/mixed; stat -c %s /opt/host/database";
  expect(await run(machine.vm(), compared)).toBe(`${8 * 1024 ** 3}\n`);
  expect(Number.parseInt(await run(machine.vm(), "du -skc /opt/host /opt/copy | tail -1"), 10)).toBeLessThan(
    4000,
  );
});
