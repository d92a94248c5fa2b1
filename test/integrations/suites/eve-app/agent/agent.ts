import { defineAgent } from "eve";
import { turnsOf } from "../../../scripted-model.ts";
import { scripted } from "../../lib/ai-model.ts";

const turns = turnsOf(
  ["bash", { command: "cat note.txt; echo $((6 * 7)) > answer; whoami" }],
  ["read_file", { filePath: "/workspace/answer" }],
);

export default defineAgent({ model: scripted(turns), modelContextWindowTokens: 100_000 });
