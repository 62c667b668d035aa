-- Health of a ModelService for Argo CD.
local health = {status = "Progressing", message = "the operator has not seen it yet"}
local status = obj.status
if status == nil or status.phase == nil or (status.observedGeneration or 0) < (obj.metadata.generation or 0) then
  return health
end
local stalled = false
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Ready" then
    health.message = condition.message or ""
    if condition.status == "True" then
      health.status = "Healthy"
    end
  elseif condition.type == "Stalled" and condition.status == "True" then
    stalled = true
  end
end
if status.phase == "Stopped" then
  health.status = "Suspended"
elseif stalled then
  health.status = "Degraded"
end
return health
