import { expect, test } from "vitest";
import { VmRows } from "../../src/directory/vm-rows.ts";
import { testFolder } from "../support/temporary-folder.ts";

test("the name of a VM that is known ends with the VM, and a new VM of the id has its own", () => {
  const rows = new VmRows(testFolder());
  rows.insert({ actorId: "id", name: "vm", key: ["first"], createdAt: 1 });
  expect(rows.nameOf("id")).toEqual({ name: "vm", key: ["first"] });
  rows.markDestroying("id");
  expect(rows.nameOf("id")).toBeUndefined();
  rows.forget("id");
  expect(rows.nameOf("id")).toBeUndefined();
  rows.insert({ actorId: "id", name: "vm", key: ["second"], createdAt: 2 });
  expect(rows.nameOf("id")).toEqual({ name: "vm", key: ["second"] });
});
