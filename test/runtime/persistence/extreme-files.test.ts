// @module-tag attack
import { expect, test } from "vitest";
import { durableVm, run } from "../../support/durable-vm.ts";
import { failure } from "../../support/until.ts";

/** Largest size of a file, and last time of a clock with 64 bits. */
const LAST = 9_223_372_036_854_775_807n;

test("a VM wakes whose files have the last time that there is, or a time before 1970", async () => {
  const machine = durableVm();
  await run(
    machine.vm(),
    `mkdir last first; touch last/file first/file; touch -d @${LAST} last/file last; touch -d @-${LAST} first/file first`,
  );
  const { id } = await machine.vm().createSnapshot();
  await machine.sleep();
  expect(await run(machine.vm(), "stat -c '%n %Y' last last/file first first/file")).toBe(
    "last 8640000000000\nlast/file 8640000000000\nfirst 0\nfirst/file 0\n",
  );
  await machine.vm().restoreSnapshot(id);
  expect(await run(machine.vm(), "ls")).toBe("first\nlast\n");
});

test("times of files are those of a Date", async () => {
  const machine = durableVm();
  await run(machine.vm(), `touch -d @${LAST} last; touch -d @-${LAST} first`);
  for (const name of ["last", "first"]) {
    const { mtimeMs } = await machine.vm().stat(`/workspace/${name}`);
    expect(new Date(mtimeMs).getTime()).toBe(mtimeMs);
  }
});

test("a VM wakes whose sparse files have more bytes together than an integer holds", async () => {
  const machine = durableVm();
  const largest = Number.MAX_SAFE_INTEGER;
  await run(machine.vm(), `truncate -s ${largest} one two; truncate -s ${LAST} three; echo text > four`);
  expect(await machine.vm().checkpoint()).toMatchObject({ unreadable: ["/workspace/three"] });
  const { id } = await machine.vm().createSnapshot();
  await machine.sleep();
  const sizes = `four 5\none ${largest}\ntwo ${largest}\n`;
  expect(await run(machine.vm(), "stat -c '%n %s' *")).toBe(sizes);
  expect(await machine.vm().listSnapshots()).toMatchObject([{ id, bytes: largest }]);
  await machine.vm().restoreSnapshot(id);
  expect(await run(machine.vm(), "stat -c '%n %s' *")).toBe(sizes);
});

test("an archive of a file that no reader of archives takes is refused, and names the file", async () => {
  const machine = durableVm();
  await run(
    machine.vm(),
    `truncate -s ${LAST} large && printf x | dd of=large bs=1 seek=${LAST - 1n} conv=notrunc status=none`,
  );
  const error = await failure(machine.vm().exportTar("/workspace"));
  expect(error).toMatchObject({ code: "EFBIG", metadata: { path: "/large" } });
});
