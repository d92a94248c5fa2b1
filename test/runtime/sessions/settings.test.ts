import { expect, test } from "vitest";
import { modesOf, type Settings, settingsAfter } from "../../../src/runtime/sessions/transcript/settings.ts";

/** Settings of an agent that reports its modes in both forms. */
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

test("a new mode in the option also sets the mode in the old form", () => {
  const [option] = BOTH.configOptions ?? [];
  const configOptions = [{ ...option, currentValue: "plan" }];
  const settings = settingsAfter(BOTH, { sessionUpdate: "config_option_update", configOptions });
  expect(modesOf(settings ?? {})).toEqual({
    currentModeId: "plan",
    availableModes: [{ id: "default" }, { id: "plan" }],
  });
});

test("a new mode in the old form also sets the option", () => {
  const settings = settingsAfter(BOTH, { sessionUpdate: "current_mode_update", currentModeId: "plan" });
  expect(settings?.configOptions?.[0]?.currentValue).toBe("plan");
});
