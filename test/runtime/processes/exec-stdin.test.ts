// @module-tag any-user
import { createHash, randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { fileVm } from "../../support/vm.ts";

const shared = fileVm();

test("stdin is written, then closed", async () => {
  const { vm } = shared();
  expect((await vm.exec("cat; echo end", { stdin: "in\n" })).stdout).toBe("in\nend\n");
});

test("without stdin the input is empty at once", async () => {
  const { vm } = shared();
  expect((await vm.exec("wc -c")).stdout).toBe("0\n");
});

test("stdin can be opened again by name", async () => {
  const { vm } = shared();
  expect((await vm.exec("cat /dev/stdin", { stdin: "again" })).stdout).toBe("again");
});

test("binary stdin arrives byte for byte", async () => {
  const { vm } = shared();
  const bytes = randomBytes(300_000);
  const { stdout } = await vm.exec("sha256sum", { stdin: bytes });
  expect(stdout.split(" ")[0]).toBe(createHash("sha256").update(bytes).digest("hex"));
});

test("a command reads 20 MB of stdin", { tags: ["slow"] }, async () => {
  const { vm } = shared();
  const bytes = Buffer.alloc(20_000_000, "0123456789\n");
  const { stdout } = await vm.exec("sha256sum", { stdin: bytes });
  expect(stdout.split(" ")[0]).toBe(createHash("sha256").update(bytes).digest("hex"));
});

test("a command that does not read its stdin still ends", async () => {
  const { vm } = shared();
  expect(await vm.exec("exit 5", { stdin: Buffer.alloc(5_000_000) })).toMatchObject({
    exitCode: 5,
    reason: "exit",
  });
});
