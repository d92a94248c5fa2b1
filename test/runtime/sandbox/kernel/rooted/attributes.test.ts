import { expect, onTestFinished, test } from "vitest";
import { vmOptionsSchema } from "../../../../../src/runtime/options.ts";
import { createSandboxFactory } from "../../../../../src/runtime/sandbox/factory.ts";
import { failure } from "../../../../support/until.ts";

test("extended attributes are those of the VM's own files, and of no other", async () => {
  const factory = createSandboxFactory(vmOptionsSchema.parse({}));
  const sandbox = await factory.boot(new AbortController().signal);
  onTestFinished(() => sandbox.dispose());
  const { files } = sandbox;
  const { tree } = files;
  await files.mkdir("/workspace/folder");
  await files.writeFile("/workspace/folder/\u00e4 \udcff", Buffer.from("text"));
  await files.symlink("/workspace/folder", "/workspace/link");
  await files.symlink("/proc/self/root/etc", "/workspace/escape");
  const attributes = [{ name: "user.\u00e4", value: new Uint8Array([0, 255]) }];
  const file = "/workspace/folder/\u00e4 \udcff";
  await tree.setAttributes([{ path: file, attributes }]);
  const inodeOf = async (path: string) => ({ path, ino: (await tree.stat(path))?.ino ?? 1 });
  const { ino } = await inodeOf(file);
  expect(
    await tree.attributes([
      { path: file, ino },
      { path: file, ino: ino + 1_000_000 },
      { path: "/workspace/link/\u00e4 \udcff", ino },
      { path: "/workspace/missing", ino },
      { path: "/workspace/../workspace/missing", ino },
      await inodeOf("/workspace/folder"),
      await inodeOf("/"),
      { path: "/usr", ino: (await files.stat("/usr")).ino },
      { path: "/proc", ino: 1 },
    ]),
  ).toEqual([attributes, "gone", "gone", "gone", "gone", [], [], "gone", "gone"]);
  for (const path of ["/workspace/link/\u00e4 \udcff", "/workspace/escape/passwd", "/usr/bin", "/proc/1"]) {
    expect((await failure(tree.setAttributes([{ path, attributes }]))).code).toMatch(/^(ELOOP|EXDEV)$/);
  }
  await tree.setAttributes([{ path: file, attributes: [] }]);
  expect(await tree.attributes([{ path: file, ino }])).toEqual([[]]);
  const closing = failure(tree.attributes(Array.from({ length: 5000 }, () => ({ path: file, ino }))));
  await sandbox.dispose();
  expect(await closing).toMatchObject({ code: "vm_stopped" });
});
