"""What a person looks at: the HTML report, previews, animations."""
