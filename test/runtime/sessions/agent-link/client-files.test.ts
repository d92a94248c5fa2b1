// @module-tag attack
import { expect, test } from "vitest";
import { ask, open, scriptedVm } from "../../../support/scripted.ts";

test("fs/read_text_file reads a file of the VM, whole or by lines", async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  await vm.writeFile("/workspace/f", "one\ntwo\nthree\nfour\n");
  await vm.writeFile("/workspace/g", "a\r\nb");
  await vm.writeFile("/workspace/empty", "");
  const read = async (argument: string) => {
    const answer = await ask(vm, id, `read ${argument}`);
    return answer.startsWith("error") ? answer : (JSON.parse(answer) as { content: string }).content;
  };
  expect(await read("/workspace/f")).toBe("one\ntwo\nthree\nfour\n");
  expect(await read("/workspace/g")).toBe("a\r\nb");
  expect(await read("/workspace/empty")).toBe("");
  expect((await read("/workspace/f 2")).trimEnd()).toBe("two\nthree\nfour");
  expect((await read("/workspace/f 2 2")).trimEnd()).toBe("two\nthree");
  expect((await read("/workspace/f 1 1")).trimEnd()).toBe("one");
  expect((await read("/workspace/f 4 10")).trimEnd()).toBe("four");
  expect(await read("/workspace/f 9")).toBe("");
  expect(await read("/workspace/missing")).toMatch(/^error -32002 /);
  expect(await read("/workspace")).toMatch(/^error -32603 EISDIR/);
  expect(await read("relative")).toMatch(/^error -32602 /);
  expect(await read("/workspace/f -1")).toMatch(/^error -32602 /);
});

test("answers 256 requests at once, and each further one with its content or an error", {
  tags: ["slow"],
}, async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  const content = '{"content":"agentos\\n"}';
  expect(JSON.parse(await ask(vm, id, "reads 256 /etc/hostname"))).toEqual([[content, 256]]);
  const answers = new Map<string, number>(JSON.parse(await ask(vm, id, "reads 5000 /etc/hostname")));
  const allowed = [content, "error -32000 Too many requests at once"];
  for (const answer of answers.keys()) expect(allowed).toContain(answer);
  expect([...answers.values()].reduce((sum, count) => sum + count)).toBe(5000);
});

test("fs/read_text_file follows links inside the VM and never out of it", async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  await vm.exec("ln -s /etc/hostname link; ln -s /proc/1/root/etc/shadow out; mkfifo fifo", {
    cwd: "/workspace",
  });
  expect(await ask(vm, id, "read /workspace/link")).toBe('{"content":"agentos\\n"}');
  expect(await ask(vm, id, "read /workspace/out")).toMatch(/^error -/);
  expect(await ask(vm, id, "read /workspace/fifo")).toMatch(/^error -/);
  expect(await ask(vm, id, "read /workspace/../etc/hostname")).toMatch(
    /^error -32603 Path must be normalized/,
  );
});

test("fs/write_text_file writes a file of the VM and makes missing folders", async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  expect(await ask(vm, id, "write /workspace/deep/er/file häßlich")).toMatch(/^(\{\}|null)$/);
  expect(
    (await vm.exec("cat deep/er/file; stat -c %U deep deep/er/file", { cwd: "/workspace" })).stdout,
  ).toBe("häßlichagentos\nagentos\n");
  expect(await ask(vm, id, "write /workspace/deep/er/file short")).toMatch(/^(\{\}|null)$/);
  expect((await vm.exec("cat /workspace/deep/er/file")).stdout).toBe("short");
  expect(await ask(vm, id, "write /workspace/deep x")).toMatch(/^error -32603 EISDIR/);
  expect(await ask(vm, id, "write /proc/sys/kernel/hostname x")).toMatch(/^error -326/);
  expect(await ask(vm, id, "write relative x")).toMatch(/^error -32602 /);
});

test("a file that is not UTF-8 is read with replacement characters", { tags: ["slow"] }, async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  await vm.writeFile("/workspace/bin", new Uint8Array([0x61, 0xff, 0x62]));
  expect(await ask(vm, id, "read /workspace/bin")).toBe('{"content":"a\uFFFDb"}');
});

test("an unknown method gets error -32601, and invalid parameters get -32602", {
  tags: ["slow"],
}, async () => {
  const { vm } = scriptedVm();
  const id = await open(vm);
  expect(await ask(vm, id, "call fs/delete {}")).toMatch(/^error -32601 .*fs\/delete/);
  expect(await ask(vm, id, "call _vendor/thing {}")).toMatch(/^error -32601 /);
  expect(await ask(vm, id, "call fs/read_text_file {}")).toMatch(/^error -32602 /);
});

test("the server declines an agent's question to the user", { tags: ["slow"] }, async () => {
  const machine = scriptedVm();
  const id = await open(machine.vm);
  expect(await ask(machine.vm, id, "elicit your name; say  on")).toBe('{"action":"decline"}on');
});
