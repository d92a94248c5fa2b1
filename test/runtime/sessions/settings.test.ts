import { expect, test } from "vitest";
import { modesOf, type Settings, settingsAfter } from "../../../src/runtime/sessions/settings.ts";

/** Settings of an agent that tells its modes in both forms. */
const BOTH: Settings = {
  modes: { currentModeId: "default", availableModes: [{ id: "default" }, { id: "plan" }] },
  configOptions: [
    {
      id: "mode",
      category: "mode",
      currentValue: "default",
      options: [{ value: "default" }, { value: "plan" }],
    },
  ],
};

test("a mode that is told by its option is the mode in the old form too", () => {
  const [option] = BOTH.configOptions ?? [];
  const configOptions = [{ ...option, currentValue: "plan" }];
  const settings = settingsAfter(BOTH, { sessionUpdate: "config_option_update", configOptions });
  expect(modesOf(settings ?? {})).toEqual({
    currentModeId: "plan",
    availableModes: [{ id: "default" }, { id: "plan" }],
  });
});

test("a mode that is told in the old form is the value of its option too", () => {
  const settings = settingsAfter(BOTH, { sessionUpdate: "current_mode_update", currentModeId: "plan" });
  expect(settings?.configOptions?.[0]?.currentValue).toBe("plan");
});
