"""From catalog to plan: ids -> documents -> records -> plan. Looks things up; writes nothing but the plan file."""
