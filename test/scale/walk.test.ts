// @module-tag slow
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { ENGINE_PROGRAM } from "../support/engine.ts";
import { testFolder } from "../support/temporary-folder.ts";
import { type Row, walk } from "./walk.ts";

const hasMachines = process.getuid?.() === 0 && spawnSync("ip", ["netns", "list"]).status === 0;

test.skipIf(ENGINE_PROGRAM === undefined || !hasMachines)(
  "an engine, two servers and a front on machines of their own work, also when parts of them fail",
  async () => {
    const rows: Row[] = [];
    await walk({
      engine: ENGINE_PROGRAM as string,
      folder: testFolder(),
      isShort: true,
      onRow: (row) => rows.push(row),
    });
    expect(rows.filter(({ error }) => error !== undefined)).toEqual([]);
    expect(rows.length).toBeGreaterThan(20);
  },
  600_000,
);
