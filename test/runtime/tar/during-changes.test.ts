import { expect, test } from "vitest";
import { inHostTar } from "../../support/host-tar.ts";
import { failure } from "../../support/until.ts";
import { startVm } from "../../support/vm.ts";

test("leaves out files and directories that are removed while an archive is packed", {
  tags: ["slow"],
}, async () => {
  const { vm } = startVm();
  await vm.exec(
    "mkdir -p a/x b/x c d; touch a/x/f b/f c/f d/stays; ln -s f a/x/l; ln -s f c/l; ln -s f d/l; mkfifo d/p",
    { cwd: "/workspace" },
  );
  const { transferId } = await vm.beginTarRead("/workspace");
  await vm.exec("rm -rf a; rm b/f; mkdir b/f; rm -r c; touch c; mv d/l d/m; ln -s loop d/l", {
    cwd: "/workspace",
  });
  const archive = await vm.readTarChunk(transferId, 0);
  await vm.endFileTransfer(transferId);
  expect(inHostTar(archive, "find . ! -type d | sort")).toBe("./d/l\n./d/stays\n");
});

test("refuses a 9th archive at a time, and an ended archive frees its place", async () => {
  const { vm } = startVm();
  const begun = await Promise.all(Array.from({ length: 8 }, () => vm.beginTarRead("/workspace")));
  for (const more of [vm.beginTarRead("/workspace"), vm.exportTar("/workspace"), vm.exportSnapshot()])
    expect(await failure(more)).toMatchObject({ code: "limit_exceeded" });
  await vm.endFileTransfer(begun[0]!.transferId);
  for (let round = 0; round < 3; round++) await vm.exportTar("/workspace");
  expect(await failure(vm.exportTar("/nothing"))).toMatchObject({ code: "ENOENT" });
  const { transferId } = await vm.beginTarRead("/workspace");
  expect(await failure(vm.exportSnapshot())).toMatchObject({ code: "limit_exceeded" });
  await vm.endFileTransfer(transferId);
});
