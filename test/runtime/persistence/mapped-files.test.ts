// @module-tag any-user
import { expect, test } from "vitest";
import { durableVm } from "../../support/durable-vm.ts";
import { until } from "../../support/until.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Maps a file for writing, touches its page, and writes each line that it reads through the mapping. */
const WRITER = `
import mmap, sys
with open("/workspace/mapped", "r+b") as file: view = mmap.mmap(file.fileno(), 0)
view[0]
print("ready", flush=True)
for line in sys.stdin:
    if line == "unmap\\n": view.close()
    else: view[:3] = line[:3].encode()
    print("done", line, end="", flush=True)
`;

/** A VM with a file "one" that a process has mapped, after a checkpoint. */
async function mapped() {
  const machine = durableVm();
  const vm = machine.vm();
  await vm.exec("printf one > /workspace/mapped; sleep 0.1");
  await vm.checkpoint();
  const { pid } = await vm.spawn("python3", ["-c", WRITER]);
  const said = async (what: string) =>
    text(Buffer.concat((await vm.readProcessOutput(pid)).chunks.map(({ data }) => data))).includes(what);
  await until(() => said("ready"));
  const tell = async (line: string) => {
    await vm.writeProcessStdin(pid, `${line}\n`);
    await until(() => said(`done ${line}`));
  };
  const times = async () => (await vm.exec("stat -c '%y %z' /workspace/mapped")).stdout;
  return { machine, vm, pid, tell, times };
}

test("a checkpoint stores writes through a mapping, which do not change the file's times", async () => {
  const { machine, vm, tell, times } = await mapped();
  const before = await times();
  await tell("two");
  expect(await times()).toBe(before);
  await vm.checkpoint();
  await machine.crash();
  expect(text(await machine.vm().readFile("/workspace/mapped"))).toBe("two");
});

test("a checkpoint stores writes through a mapping that has ended since", async () => {
  const { machine, vm, pid, tell, times } = await mapped();
  const before = await times();
  await vm.checkpoint();
  await tell("two");
  await tell("unmap");
  await vm.closeProcessStdin(pid);
  expect(await vm.waitProcess(pid)).toBe(0);
  expect(await times()).toBe(before);
  await vm.checkpoint();
  await machine.crash();
  expect(text(await machine.vm().readFile("/workspace/mapped"))).toBe("two");
});
