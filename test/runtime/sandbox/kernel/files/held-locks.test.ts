// @module-tag slow
// @module-tag any-user
// @module-tag attack
import { expect, test } from "vitest";
import { hasOwnUids } from "../../../../../src/runtime/sandbox/own-uids.ts";
import type { Vm } from "../../../../../src/runtime/vm.ts";
import { turnsOf } from "../../../../support/turns.ts";
import { fileVm } from "../../../../support/vm.ts";

const ROUNDS = 3;
/** A call that waits in the event loop takes fewer turns: it lets the loop turn between its steps at most. */
const TURNS = 5;

/** The server looks up each name of the way. */
const FOLDER = "/workspace/a/b/c/d/e/f/g/h";
const STORM = `${FOLDER}/storm`;

/** Keeps the lock of a folder busy with 120 processes, and the locks of two files with one each. */
const PROGRAM = `
use strict;
for my $each (1 .. 120) {
  next if fork;
  for (my $count = 0; ; $count++) {
    my $name = "${STORM}/$each.$count";
    open my $file, ">", $name;
    close $file;
    unlink $name;
  }
}
for my $name ("replaced", "removed") {
  next if fork;
  while (1) {
    system "fallocate", "-l", "64M", "${STORM}/$name";
    truncate "${STORM}/$name", 0;
  }
}
$| = 1;
print "ready\\n";
sleep;
`;

const CALLS: Readonly<Record<string, (vm: Vm, round: number) => Promise<unknown>>> = {
  "a write of a new file": (vm, round) => vm.writeFile(`${STORM}/new-${round}`, "x"),
  "a write of a file that a program resizes": (vm) => vm.writeFile(`${STORM}/replaced`, "x"),
  "a read of a file": (vm) => vm.readFile(`${STORM}/file`),
  "a look at a file that is missing": (vm) => vm.exists(`${STORM}/missing`),
  "a new folder": (vm, round) => vm.mkdir(`${STORM}/folder-${round}`),
  "a listing": (vm) => vm.readdir(STORM),
  "a move": async (vm, round) => {
    await vm.writeFile(`${FOLDER}/from-${round}`, "x");
    await vm.move(`${FOLDER}/from-${round}`, `${STORM}/to-${round}`);
  },
  "the removal of a file that a program resizes": (vm) =>
    vm.delete(`${STORM}/removed`).catch(() => undefined),
  "a large write": (vm) => vm.writeFile(`${STORM}/large`, "x".repeat(1024 * 1024)),
};

const machine = fileVm({ checkpoint: { intervalMs: 2_000_000_000 } });

async function turnsOfRounds(call: (vm: Vm, round: number) => Promise<unknown>): Promise<number> {
  return await turnsOf(async () => {
    for (let round = 0; round < ROUNDS; round++) await call(machine().vm, round);
  });
}

test("file calls wait for no other thread in a VM without programs", async () => {
  const { vm } = machine();
  await vm.mkdir(STORM, { recursive: true });
  await vm.writeFile(`${STORM}/file`, "x");
  expect(await turnsOfRounds(() => vm.exists(`${STORM}/missing`))).toBeLessThan(ROUNDS * TURNS);
});

test.runIf(hasOwnUids())("nor in a VM of a root server whose programs have ended", async () => {
  await machine().vm.exec("true");
  expect(await turnsOfRounds((vm) => vm.exists(`${STORM}/missing`))).toBeLessThan(ROUNDS * TURNS);
});

test("the event loop turns while programs keep the locks of a folder and its files busy", async () => {
  const { vm, outputHas } = machine();
  const { pid } = await vm.spawn("perl", ["-e", PROGRAM]);
  await outputHas(pid, "ready");
  for (const [what, call] of Object.entries(CALLS))
    expect([what, (await turnsOfRounds(call)) > ROUNDS * TURNS]).toEqual([what, true]);
  await vm.killProcess(pid);
});
