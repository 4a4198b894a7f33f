"""params.yaml as checked values: recipes, profiles, and the reading of YAML that everything else uses too."""
