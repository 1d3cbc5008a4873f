"""An evaluation of many explanations: inputs, jobs, the store from which a cut-off run goes on, the report."""
