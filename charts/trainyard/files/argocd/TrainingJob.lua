-- Health of a TrainingJob for Argo CD.
local health = {status = "Progressing", message = "the operator has not seen it yet"}
local status = obj.status
if status == nil or status.phase == nil or (status.observedGeneration or 0) < (obj.metadata.generation or 0) then
  return health
end
local message, stalled = "", false
for _, condition in ipairs(status.conditions or {}) do
  if condition.status == "True" and condition.type == "Stalled" then
    stalled = true
  end
  -- One condition has the message; the others refer to it.
  if condition.message ~= nil and condition.message ~= "" and string.sub(condition.message, 1, 13) ~= "see condition" then
    message = condition.message
  end
end
health.message = message
if status.phase == "Succeeded" then
  health.status = "Healthy"
elseif status.phase == "Failed" or stalled then
  health.status = "Degraded"
elseif status.phase == "Suspended" then
  health.status = "Suspended"
end
return health
