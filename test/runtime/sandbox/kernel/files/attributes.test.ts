// @module-tag any-user
import { expect, onTestFinished, test } from "vitest";
import { vmOptionsSchema } from "../../../../../src/runtime/options.ts";
import { createSandboxFactory } from "../../../../../src/runtime/sandbox/factory.ts";
import type { AttributesFound, Inodes } from "../../../../../src/runtime/sandbox/persistent-tree.ts";
import { placeOf } from "../../../../../src/runtime/sandbox/tree-path.ts";
import { failure } from "../../../../support/until.ts";

test("reads and sets extended attributes only of the VM's own files", async () => {
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
  await tree.setAttributes([{ place: placeOf(file), attributes }]);
  const read = async (places: Inodes) => {
    const found: AttributesFound[] = [];
    for await (const each of tree.attributes(places)) found.push(each);
    return found;
  };
  const at = (path: string, ino: number) => ({ ...placeOf(path), ino });
  const inodeOf = async (path: string) => at(path, (await tree.stat(path))?.ino ?? 1);
  const { ino } = await inodeOf(file);
  expect(
    await read([
      at(file, ino),
      at(file, ino + 1_000_000),
      at("/workspace/link/\u00e4 \udcff", ino),
      at("/workspace/missing", ino),
      at("/workspace/../workspace/missing", ino),
      await inodeOf("/workspace/folder"),
      await inodeOf("/"),
      at("/usr", (await files.stat("/usr")).ino),
      at("/proc", 1),
    ]),
  ).toEqual([attributes, "gone", "gone", "gone", "gone", [], [], "gone", "gone"]);
  for (const path of ["/workspace/link/\u00e4 \udcff", "/workspace/escape/passwd", "/usr/bin", "/proc/1"]) {
    expect((await failure(tree.setAttributes([{ place: placeOf(path), attributes }]))).code).toMatch(
      /^(ELOOP|ENOTDIR|EXDEV)$/,
    );
  }
  await tree.setAttributes([{ place: placeOf(file), attributes: [] }]);
  expect(await read([at(file, ino)])).toEqual([[]]);
  const closing = failure(read(Array.from({ length: 5000 }, () => at(file, ino))));
  await sandbox.dispose();
  expect(await closing).toMatchObject({ code: "vm_stopped" });
});

test("throws the error of a request that cannot be encoded", async () => {
  const factory = createSandboxFactory(vmOptionsSchema.parse({}));
  const sandbox = await factory.boot(new AbortController().signal);
  onTestFinished(() => sandbox.dispose());
  const attributes = [{ name: `user.${"a".repeat(70_000)}`, value: new Uint8Array([1]) }];
  const error = await failure(
    sandbox.files.tree.setAttributes([{ place: placeOf("/workspace"), attributes }]),
  );
  expect(error).toMatchObject({ code: "ERR_OUT_OF_RANGE" });
});
