import { closeSync, mkdirSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { mappedFiles } from "../../../../../src/runtime/sandbox/kernel/processes/mappings.ts";
import { testFolder } from "../../../../support/temporary-folder.ts";

/** Makes a folder like a VM's procfs, whose processes have mapped a file. */
function procOf(inode: number): string {
  const folder = testFolder();
  for (let pid = 1; pid <= 20; pid++) {
    mkdirSync(join(folder, String(pid)));
    writeFileSync(
      join(folder, String(pid), "maps"),
      `7f00-7f01 rw-s 00000000 00:28 ${inode}  /x\n7f01-7f02 r--s 00000000 00:28 99  /y\n`,
    );
  }
  return folder;
}

test("lists the files that processes have mapped shared and writable", async () => {
  const fd = openSync(procOf(7), "r");
  expect(await mappedFiles(fd, new AbortController().signal)).toEqual(new Set([7]));
  closeSync(fd);
});

test("lists no file of a VM that has the descriptor's number after the end of the VM", async () => {
  const ending = new AbortController();
  const fd = openSync(procOf(7), "r");
  const other = procOf(8);
  const found = mappedFiles(fd, ending.signal);
  ending.abort();
  closeSync(fd);
  expect(openSync(other, "r")).toBe(fd);
  await expect(found).rejects.toThrow();
  await expect(mappedFiles(fd, ending.signal)).rejects.toThrow();
  closeSync(fd);
});
