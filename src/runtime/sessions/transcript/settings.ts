import { z } from "zod";
import type { SessionConfigOption, SessionModeState } from "../../../api/methods/session-types.ts";
import { fitsJson } from "../../../api/size.ts";
import { MAX_AGENT_SETTINGS_BYTES } from "../limits.ts";

// Schemas of the modes, models and other settings that agents report. Unknown fields are kept.

const modesSchema = z.looseObject({
  currentModeId: z.string(),
  availableModes: z.array(
    z.looseObject({ id: z.string(), name: z.string().optional(), description: z.string().nullish() }),
  ),
});

/** Models in the old form of ACP, which configOptions have replaced. */
const modelsSchema = z.looseObject({
  currentModelId: z.string(),
  availableModels: z.array(z.looseObject({ modelId: z.string(), name: z.string().optional() })),
});

const valueSchema = z.looseObject({ value: z.string(), name: z.string().optional() });

const optionSchema = z.looseObject({
  id: z.string(),
  name: z.string().optional(),
  description: z.string().nullish(),
  category: z.string().nullish(),
  currentValue: z.union([z.string(), z.boolean()]).optional(),
  options: z.array(z.union([z.looseObject({ options: z.array(valueSchema) }), valueSchema])).optional(),
});

export const settingsSchema = z.object({
  modes: modesSchema.nullish().catch(null),
  models: modelsSchema.nullish().catch(null),
  configOptions: z.array(optionSchema).nullish().catch(null),
});

/** Settings that the agent reported last. */
export type Settings = z.infer<typeof settingsSchema>;
type ConfigOption = z.infer<typeof optionSchema>;

/** Settings in an agent's answer; `{}` if they exceed MAX_AGENT_SETTINGS_BYTES. */
export function settingsIn(result: unknown): Settings {
  const { data } = settingsSchema.safeParse(fitsLimit(result) ? result : {});
  return data ?? {};
}

/** Call before parsing, because a schema takes a second for a million values. */
function fitsLimit(reported: unknown): boolean {
  return fitsJson(reported, MAX_AGENT_SETTINGS_BYTES);
}

/** Settings after a session/update; `undefined` if the update does not change them. */
export function settingsAfter(settings: Settings, update: unknown): Settings | undefined {
  if (!kindSchema.safeParse(update).success || !fitsLimit(update)) return undefined;
  const change = updateSchema.safeParse(update).data;
  if (change?.sessionUpdate === "current_mode_update") {
    const { modes } = settings;
    return {
      ...withOption(settings, "mode", change.currentModeId),
      ...(modes && { modes: { ...modes, currentModeId: change.currentModeId } }),
    };
  }
  if (change?.sessionUpdate === "config_option_update") return withOptions(settings, change.configOptions);
  return undefined;
}

const kindSchema = z.object({ sessionUpdate: z.enum(["current_mode_update", "config_option_update"]) });

const updateSchema = z.discriminatedUnion("sessionUpdate", [
  z.object({ sessionUpdate: z.literal("current_mode_update"), currentModeId: z.string() }),
  z.object({ sessionUpdate: z.literal("config_option_update"), configOptions: z.array(optionSchema) }),
]);

/** Returns the option of a category, such as `"model"`. Each agent chooses its own option ids. */
export function optionOf(settings: Settings, category: string): ConfigOption | undefined {
  return settings.configOptions?.find((option) => option.category === category);
}

/** Settings with a new value for the option of a category. */
export function withOption(settings: Settings, category: string, value: string): Settings {
  const option = optionOf(settings, category);
  if (option === undefined) return settings;
  const currentValue = typeof option.currentValue === "boolean" ? value === "true" : value;
  const configOptions = (settings.configOptions ?? []).map((other) =>
    other === option ? { ...option, currentValue } : other,
  );
  return { ...settings, configOptions };
}

/** Settings with new options. An agent with both forms of modes may report a new mode in one form only: set both. */
function withOptions(settings: Settings, configOptions: ConfigOption[]): Settings {
  const { modes } = settings;
  const mode = configOptions.find(({ category }) => category === "mode")?.currentValue;
  const isKnown = modes?.availableModes.some(({ id }) => id === mode);
  return {
    ...settings,
    configOptions,
    ...(modes && isKnown && { modes: { ...modes, currentModeId: String(mode) } }),
  };
}

/** Modes in the API's form, from the agent's `modes` or from its option of category `mode`. */
export function modesOf(settings: Settings): SessionModeState | null {
  const { modes } = settings;
  if (modes) {
    return {
      currentModeId: modes.currentModeId,
      availableModes: modes.availableModes.map(({ id, name, description }) => ({
        id,
        ...(name !== undefined && { name, label: name }),
        ...(typeof description === "string" && { description }),
      })),
    };
  }
  const option = optionOf(settings, "mode");
  if (option === undefined) return null;
  return {
    currentModeId: String(option.currentValue ?? ""),
    availableModes: valuesOf(option).map(({ id, label }) => ({
      id,
      ...(label !== undefined && { name: label, label }),
    })),
  };
}

/** Options in the API's form. */
export function configOptionsOf(settings: Settings): SessionConfigOption[] {
  return (settings.configOptions ?? []).map((option) => {
    const { id, name, description, category, currentValue } = option;
    return {
      id,
      ...(typeof category === "string" && { category }),
      ...(name !== undefined && { label: name }),
      ...(typeof description === "string" && { description }),
      ...(currentValue !== undefined && { currentValue: String(currentValue) }),
      allowedValues: valuesOf(option),
    };
  });
}

/** Values that an option accepts, including the values in groups. */
function valuesOf({ options, currentValue }: ConfigOption): { id: string; label?: string }[] {
  if (typeof currentValue === "boolean") return [{ id: "true" }, { id: "false" }];
  const values = (options ?? []).flatMap((entry) => {
    const group = groupSchema.safeParse(entry);
    return group.success ? group.data.options : [valueSchema.parse(entry)];
  });
  return values.map(({ value, name }) => ({ id: value, ...(name !== undefined && { label: name }) }));
}

const groupSchema = z.looseObject({ options: z.array(valueSchema) });
